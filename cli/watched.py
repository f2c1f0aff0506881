"""The command ``avaffect`` as `ensemble.members` starts it: it ends with whoever started it.

That process holds the other end of our standard input, which ends when it does, however it does.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from avaffect.cli.main import main

# What saving may take.
_PATIENCE_S = 100.0
_STOPPED = 143


def _watch() -> None:
    while os.read(0, 1024):
        pass
    if os.name == "nt":
        signal.raise_signal(signal.SIGTERM)  # there `kill` ends a process without more ado
    else:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    os._exit(_STOPPED)


def watched() -> None:
    """The entry point, as `cli.main.main`; standard input must be a pipe."""
    threading.Thread(target=_watch, name="avaffect-watch", daemon=True).start()
    main()


if __name__ == "__main__":
    watched()
