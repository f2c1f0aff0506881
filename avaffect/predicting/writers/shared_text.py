"""``single`` and ``mtl``: text files for all subjects, as later editions take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from avaffect.challenge.text import SingleFileWriter, open_single, single_path
from avaffect.predicting.writers.writer import Ready, Writer


class SharedText(Writer):
    """Writes a ``predictions.txt`` a task, or the multi-task file.

    Args:
        root: the output folder.
        edition: an edition of ``challenge.editions.EDITIONS``.
        kinds: which files: ``va``, ``expr``, ``au``, ``mtl``.
    """

    def __init__(self, root: Path, edition: str, kinds: Sequence[str]) -> None:
        self._edition, self._kinds = edition, tuple(kinds)
        self.shared = tuple(single_path(root, kind, edition) for kind in kinds)
        self._writers: list[SingleFileWriter] = []

    @contextmanager
    def open(self) -> Iterator[None]:
        with ExitStack() as stack:
            self._writers = [
                stack.enter_context(open_single(path, kind, self._edition))
                for path, kind in zip(self.shared, self._kinds, strict=True)
            ]
            yield

    def write(self, ready: Ready) -> tuple[Path, ...]:
        for writer in self._writers:
            writer.add(ready.filled)
        return ()
