"""What a process that decodes may do: so much memory and time, and next to nothing else.

Where the system has it: address space, processor time, sizes of files and core dumps are limited
by ``setrlimit`` (Linux, macOS), and what asks for more than reading is forbidden by ``seccomp``
(Linux on x86-64). Elsewhere it is a process like any other, whose crash ends only itself.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from contextlib import suppress

MEMORY = 4 << 30
"""Bytes of address space."""
CPU_S = 60
"""Seconds of processor time for a picture, a piece of sound or a header."""

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_X86_64 = 0xC000003E
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
# BPF: load a word; jump if equal, if any bit is set; return.
_LOAD, _EQUAL, _BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
# Where things lie in seccomp_data: the call's number, the machine, the low half of an argument.
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
# O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND.
_WRITING = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000
_THREAD = 0x10000
# x86-64's numbers. Sockets; other programs and processes; files that change; the kernel's insides.
_FORBIDDEN = (
    41, 42, 43, 49, 50, 53, 288,
    57, 58, 59, 322, 62, 101, 310, 311, 424, 434, 438,
    76, 77, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 132, 133, 188, 189, 190, 235, 258, 259,
    260, 261, 263, 264, 265, 266, 268, 280, 316, 437, 452,
    155, 161, 165, 166, 175, 246, 250, 248, 249, 272, 298, 308, 313, 320, 321, 323, 425, 426, 427,
)  # fmt: skip


def limit() -> None:
    """Hold this process from now on; what it needs must be imported."""
    with suppress(ImportError):
        import resource

        _lower("RLIMIT_AS", MEMORY)
        _lower("RLIMIT_CORE", 0)
        _lower("RLIMIT_FSIZE", 0)
        assert resource  # noqa: S101
    renew()
    if sys.platform == "linux" and platform.machine() == "x86_64":
        _forbid()


def renew() -> None:
    """Count processor time anew, as for the next picture."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        wanted = int(used) + CPU_S
        if hard == resource.RLIM_INFINITY or wanted <= hard:
            resource.setrlimit(resource.RLIMIT_CPU, (wanted, hard))


def _lower(name: str, most: int) -> None:
    """Never above what holds already; not every system knows or takes each limit."""
    import resource

    with suppress(AttributeError, OSError, ValueError):
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _forbid() -> None:
    """What is forbidden fails with EPERM; a kernel without seccomp leaves all as it is."""

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("<HBBI", code, yes, no, value)

    deny = step(_RETURN, _ERRNO | errno.EPERM)
    allow = step(_RETURN, _ALLOW)

    def argument(call: int, number: int, bits: int, needed: bool) -> list[bytes]:
        """Deny a call unless its argument has some of ``bits``, or, not ``needed``, has none."""
        yes, no = (1, 0) if needed else (0, 1)
        return [
            step(_EQUAL, call, 0, 4),
            step(_LOAD, _ARGUMENTS + 8 * number),
            step(_BITS, bits, yes, no),
            deny,
            allow,
        ]

    steps = [
        step(_LOAD, _MACHINE),
        step(_EQUAL, _X86_64, 1, 0),
        deny,
        step(_LOAD, _NUMBER),
        *argument(2, 1, _WRITING, needed=False),  # open
        *argument(257, 2, _WRITING, needed=False),  # openat
        *argument(56, 0, _THREAD, needed=True),  # clone
        # clone3, whose flags cannot be seen: the C library falls back to clone.
        step(_EQUAL, 435, 0, 1),
        step(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for call in _FORBIDDEN:
        steps += [step(_EQUAL, call, 0, 1), deny]
    code = b"".join([*steps, allow])
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("<H6xQ", len(code) // 8, ctypes.addressof(buffer))
    library = ctypes.CDLL(None)
    if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        library.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.c_char_p(program))
