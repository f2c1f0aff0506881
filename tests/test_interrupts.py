import os
import signal
import threading

import pytest

from avaffect import interrupts as module
from avaffect.interrupts import SIGNALS, Interrupts, exit_code, raise_on_signals


@pytest.fixture(autouse=True)
def as_before():
    """Signals mean in the end what they meant before."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    module._last = signal.SIGINT


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_second_stops(number) -> None:
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        assert not interrupts.asked
        os.kill(os.getpid(), number)
        assert interrupts.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    assert not Interrupts.asked


def test_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="x"), Interrupts():
        raise ValueError("x")
    assert signal.getsignal(signal.SIGINT) is before


def test_in_a_thread_nothing_is_caught() -> None:
    before, found = signal.getsignal(signal.SIGINT), []

    def work():
        with Interrupts() as interrupts:
            found.append((signal.getsignal(signal.SIGINT) is before, interrupts.asked))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(True, False)]


def test_without_patience_the_first_one_stops() -> None:
    with Interrupts() as interrupts:
        interrupts.patient = False
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.asked


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_all_say_the_same_word_and_have_their_own_code(name: str, code: int) -> None:
    raise_on_signals()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), getattr(signal, name))
    assert exit_code() == code


def test_nohup_is_respected() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise_on_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGHUP)
    assert not interrupts.asked


def test_an_ignored_ctrl_c_is_heeded_where_it_is_asked_for() -> None:
    """As in a worker that was started in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        raise_on_signals()
        signal.raise_signal(signal.SIGINT)
        module.heed()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
