"""How a person, or the system, asks a process to stop: Ctrl-C, SIGTERM and SIGHUP, all alike."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))

_last: int = signal.SIGINT


def exit_code() -> int:
    """What a process ends with that was asked to stop: 130 after Ctrl-C, 143 after SIGTERM, 129
    after SIGHUP."""
    return 128 + _last


def raise_on_signals() -> None:
    """From now on each of :data:`SIGNALS` raises ``KeyboardInterrupt``; to be called by a command.

    SIGHUP stays ignored where it is, as ``nohup`` wants it.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def heed() -> None:
    """Let SIGINT raise ``KeyboardInterrupt`` even where it is ignored: in a process that nobody's
    terminal reaches, and that is asked to stop by it all the same."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, _raise)


def _raise(number: int, frame: FrameType | None) -> None:
    global _last
    _last = number
    raise KeyboardInterrupt


class Interrupts:
    """A block in which signals are noted, so that a loop can stop where it can save.

    A second one stops at once. In threads, where signals cannot be caught, nothing is noted.

    Attributes:
        asked: whether to stop.
        patient: whether the first one waits for the loop to look; without it it stops at once.
    """

    asked = False
    patient = True

    def __enter__(self) -> Interrupts:
        self._before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number != signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        global _last
        _last = number
        again, self.asked = self.asked, True
        if again or not self.patient:
            raise KeyboardInterrupt
