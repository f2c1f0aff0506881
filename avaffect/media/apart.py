"""Decoding in a process of its own, for files from people whom one does not trust.

FFmpeg's decoders are a million lines of C, and a file can be made to hurt them. Where
``AVAFFECT_UNTRUSTED`` is set, every function that opens a media file runs
in a process that `serve` makes and `limits` holds. What comes back are JSON, which is checked by
its type, and plain bytes: nothing is unpickled. However that process ends, its end is one line
here.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar, cast, get_args, get_type_hints

from avaffect import errors
from avaffect.errors import AvaffectError, MediaError
from avaffect.media.limits import CPU_S, MEMORY

P = ParamSpec("P")
R = TypeVar("R")

UNTRUSTED = "AVAFFECT_UNTRUSTED"
# A message: of which kind, the bytes of its JSON, the bytes behind it.
HEAD = struct.Struct("<cIQ")
ITEM, RESULT, ERROR, SAID = b"i", b"r", b"e", b"s"
_MOST_JSON = 8 << 20
# A picture of `container.MAX_PIXELS` in RGB.
_MOST_BYTES = 300_000_000
# Without a word for so long, the process is taken to hang.
WAIT_S = 600
_PIPE_BYTES = 1 << 20
_HINT = "it is damaged, or was made to do harm: get another copy, or leave it out"


def is_untrusted() -> bool:
    """Whether media files are decoded in processes of their own."""
    return os.environ.get(UNTRUSTED, "") not in ("", "0")


def apart(function: Callable[P, R]) -> Callable[P, R]:
    """A function of a file, run in a process of its own where files are not trusted.

    Its first argument is the file. Its arguments, and what it returns, are what JSON and its
    annotations can say; of an argument that is a function only the calls come back. A generator
    yields such a value and bytes (or a contiguous array, which comes back as a bytearray).

    Raises:
        MediaError: the process crashed, hung or wanted too much.
    """
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def stream(*given: P.args, **named: P.kwargs) -> Any:
            if is_untrusted():
                return _Call(function, given, named).items()
            return function(*given, **named)

        return cast(Callable[P, R], stream)

    @wraps(function)
    def once(*given: P.args, **named: P.kwargs) -> Any:
        if is_untrusted():
            return _Call(function, given, named).result()
        return function(*given, **named)

    return cast(Callable[P, R], once)


@cache
def signature_of(name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A function by ``module:name``, and pydantic's adapters of its parameters and its return.

    The adapter of a parameter that is a function is that of what it is called with; that of a
    generator's return is that of its values.
    """
    from pydantic import TypeAdapter

    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = inspect.unwrap(
        getattr(importlib.import_module(module), attribute)
    )
    hints = get_type_hints(function)
    if inspect.isgeneratorfunction(function):
        hints["return"] = get_args(get_args(hints["return"])[0])[0]
    adapters = {}
    for key, hint in hints.items():
        parts = get_args(hint)
        called = parts and isinstance(parts[0], list)
        adapters[key] = TypeAdapter(parts[0][0] if called else hint)
    return function, adapters


class _Call:
    """A call of ``function`` in a process of its own."""

    def __init__(
        self, function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        name = f"{function.__module__}:{function.__qualname__}"
        _, self._types = signature_of(name)
        bound = inspect.signature(function).bind(*given, **named)
        bound.apply_defaults()
        values = bound.arguments
        self._path = Path(next(iter(values.values())))
        self._callbacks = {key: value for key, value in values.items() if callable(value)}
        self._request = {
            "call": name,
            "arguments": {
                key: self._types[key].dump_python(value, mode="json")
                for key, value in values.items()
                if key not in self._callbacks
            },
            "callbacks": list(self._callbacks),
        }

    def result(self) -> Any:
        """What the function returns."""
        for kind, value, _ in self._messages():
            if kind == RESULT:
                return self._read("return", value)
        raise self._died(None)

    def items(self) -> Generator[tuple[Any, bytearray], None, None]:
        """What the generator yields."""
        for kind, value, data in self._messages():
            if kind == RESULT:
                return
            yield self._read("return", value), data
        raise self._died(None)

    def _messages(self) -> Iterator[tuple[bytes, Any, bytearray]]:
        environment = {k: v for k, v in os.environ.items() if k not in _LEFT_OUT}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment |= dict.fromkeys(_ONE_THREAD, "1")
        # A session of its own: the terminal's Ctrl-C is for us, who end it.
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "avaffect.media.serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
            start_new_session=True,
        ) as process:
            try:
                yield from self._heard(process)
            finally:
                process.kill()

    def _heard(self, process: subprocess.Popen[bytes]) -> Iterator[tuple[bytes, Any, bytearray]]:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101
        _widen(process.stdout)
        try:
            process.stdin.write(json.dumps(self._request).encode() + b"\n")
        except OSError:
            raise self._died(process) from None
        while True:
            kind, length, size = HEAD.unpack(self._exactly(process, HEAD.size))
            if length > _MOST_JSON or size > _MOST_BYTES:
                raise self._died(None)
            try:
                value = json.loads(self._exactly(process, length))
            except (ValueError, RecursionError):
                raise self._died(None) from None
            data = self._exactly(process, size)
            if kind in (ITEM, RESULT):
                yield kind, value, data
                if kind == RESULT:
                    return
                continue
            words = value if isinstance(value, list) else []
            if kind == ERROR and len(words) == 3:
                raise self._error(*map(str, words))
            if kind != SAID or len(words) != 2 or str(words[0]) not in self._callbacks:
                raise self._died(None)
            self._callbacks[words[0]](self._read(words[0], words[1]))

    def _exactly(self, process: subprocess.Popen[bytes], size: int) -> bytearray:
        pipe = cast(IO[bytes], process.stdout)
        data = bytearray(size)
        view, at = memoryview(data), 0
        while at < size:
            if not _ready(pipe):
                raise MediaError(f"'{self._path}' keeps the decoder busy for ever", _HINT)
            count = pipe.readinto(view[at:])  # type: ignore[attr-defined]
            if not count:
                raise self._died(process)
            at += count
        return data

    def _read(self, name: str, value: Any) -> Any:
        from pydantic import ValidationError

        try:
            return self._types[name].validate_python(value)
        except ValidationError:
            raise self._died(None) from None

    def _error(self, name: str, problem: str, hint: str) -> AvaffectError:
        kind = getattr(errors, name, None)
        if not (isinstance(kind, type) and issubclass(kind, AvaffectError)):
            text = f"makes the decoder fail ({name}: {problem[:160]})"
            return MediaError(f"'{self._path}' {text}", _HINT)
        error = kind.__new__(kind)
        AvaffectError.__init__(error, problem, hint)
        return error

    def _died(self, process: subprocess.Popen[bytes] | None) -> MediaError:
        """The error for a process that ended before its time, or, None, talked nonsense."""
        if process is None:
            return MediaError(f"'{self._path}' makes the decoder talk nonsense", _HINT)
        code = process.wait()
        if -code == getattr(signal, "SIGXCPU", None):
            text = f"takes more than {CPU_S} s of processor time for one picture"
        elif code < 0:
            text = f"makes the decoder crash ({signal.Signals(-code).name})"
        else:
            text = f"makes the decoder end (code {code})"
        return MediaError(f"'{self._path}' {text}", _HINT)


# Of an ffmpeg of the user's own nobody knows what it does.
_LEFT_OUT = (UNTRUSTED, "IMAGEIO_FFMPEG_EXE")
# Each thread of these libraries takes address space; none of them computes there.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def too_large(path: object) -> MediaError:
    """The error for a file that wants more memory than `limits` allow."""
    return MediaError(
        f"'{path}' needs more than {MEMORY >> 30} GiB to be decoded",
        "if you trust it, decode it without untrusted",
    )


def _widen(pipe: IO[bytes]) -> None:
    """Let the pipe hold a picture or two, where the system can (Linux)."""
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (ImportError, AttributeError, OSError):
        pass


def _ready(pipe: IO[bytes]) -> bool:
    """Wait for something to read; False if nothing comes."""
    if os.name == "nt":
        return True  # pipes cannot be waited for there
    import select

    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return bool(poll.poll(WAIT_S * 1000))
