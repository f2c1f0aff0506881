"""The process that decodes for `apart`: one call, of which all goes through a pipe.

``python -m avaffect.media.serve`` reads a line of JSON and writes messages, see `apart.HEAD`.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from typing import Any, BinaryIO

from avaffect.errors import AvaffectError, explained
from avaffect.media.apart import ERROR, HEAD, ITEM, RESULT, SAID, signature_of, too_large
from avaffect.media.limits import limit, renew


def main() -> None:
    """Do what the first line of standard input asks for."""
    request = json.loads(sys.stdin.buffer.readline())
    # What a library prints must not come between the messages.
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    function, types = signature_of(request["call"])
    values = {
        key: types[key].validate_python(value) for key, value in request["arguments"].items()
    }
    for name in request["callbacks"]:
        values[name] = _told(pipe, name, types[name])
    limit()
    try:
        _serve(pipe, function, types["return"], values)
    except BrokenPipeError:
        pass
    except Exception as error:
        ours = error if isinstance(error, AvaffectError) else explained(error)
        if isinstance(error.__cause__ or error, MemoryError):
            ours = too_large(next(iter(values.values())))
        told = (
            [type(error).__name__, str(error), ""]
            if ours is None
            else [type(ours).__name__, ours.problem, ours.hint]
        )
        _send(pipe, ERROR, told)
    # Threads of a decoder are not waited for.
    os._exit(0)


def _serve(pipe: BinaryIO, function: Any, type_: Any, values: dict[str, Any]) -> None:
    if not inspect.isgeneratorfunction(function):
        _send(pipe, RESULT, type_.dump_python(function(**values), mode="json"))
        return
    for value, data in function(**values):
        _send(pipe, ITEM, type_.dump_python(value, mode="json"), data)
        renew()
    _send(pipe, RESULT, None)


def _told(pipe: BinaryIO, name: str, type_: Any) -> Any:
    def tell(value: Any) -> None:
        _send(pipe, SAID, [name, type_.dump_python(value, mode="json")])

    return tell


def _send(pipe: BinaryIO, kind: bytes, value: Any, data: Any = b"") -> None:
    text = json.dumps(value).encode()
    view = memoryview(data).cast("B")
    for part in (memoryview(HEAD.pack(kind, len(text), len(view)) + text), view):
        while part:
            part = part[pipe.write(part) :]


if __name__ == "__main__":
    main()
