"""A local folder that stands for what lies in stores, for as long as it is worked on.

Commands work on local files. A `Stage` says where the file that lies in a store will be, and where
results are written that go into one; a `Unit` is one source with its results: is it done, bring
it, work, publish, let it go.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avaffect.errors import AvaffectError, OutputError, RemoteError, UsageError, output_error
from avaffect.files.hashing import known_sha256
from avaffect.files.names import CROPS, FEATURES, RECEIPTS, RECORD, WAV
from avaffect.progress import EventCallback, ignore_events
from avaffect.remote.address import Address, is_remote
from avaffect.remote.bring import bring, bring_folder, brought, drop
from avaffect.remote.inputs import find_files, find_prepared
from avaffect.remote.origin import Origin, listed, look, look_inside
from avaffect.remote.publish import publish
from avaffect.remote.receipt import Receipt, read_receipt, write_receipt

PREPARED = (RECORD, WAV, FEATURES, CROPS)
"""What `preprocess` leaves of a video."""


@dataclass(frozen=True)
class Stage:
    """Where what lies in stores is on this machine.

    Attributes:
        root: the local folder for it, of this output folder and user alone.
        out: the local folder of results: in ``root``, or the user's own.
        target: the store's folder that ``out`` stands for; None if results stay here.
        sources: by local path, the file or preprocessed folder in a store.
        prepared: those of them that are such folders; their records are here from the start.
    """

    root: Path
    out: Path
    target: Address | None
    sources: Mapping[Path, Address]
    prepared: frozenset[Path] = frozenset()

    @classmethod
    def open(cls, out: str, scratch: str | None = None) -> Stage:
        """The stage of an output folder, which may be an address.

        Raises:
            UsageError: ``scratch`` is in somebody else's hands.
            OutputError: it cannot be written to.
        """
        target = Address.of(out) if is_remote(out) else None
        whole = target.text if target else os.path.abspath(out)  # noqa: PTH100 (links stay)
        user = os.getuid() if hasattr(os, "getuid") else 0
        digest = hashlib.sha256(os.fsencode(whole)).hexdigest()[:12]
        parent = Path(scratch or tempfile.gettempdir()).expanduser()
        root = parent / f"avaffect-{user}-{digest}"
        return cls(root, root / "out" if target else Path(out), target, {})

    @property
    def is_used(self) -> bool:
        """Whether anything lies in a store."""
        return self.target is not None or bool(self.sources)

    def with_sources(self, addresses: Sequence[Address]) -> Stage:
        """The same, with further files or folders in stores, each once."""
        found = {self.local(address): address for address in addresses}
        return replace(self, sources={**self.sources, **found})

    def with_prepared(self, addresses: Sequence[Address]) -> Stage:
        """The same, with further preprocessed folders in stores: as :meth:`with_sources`."""
        found = self.with_sources(addresses)
        paths = frozenset(map(self.local, addresses))
        self.ready()
        for address in addresses:
            bring_folder(address, self.local(address), [RECORD])
        return replace(found, prepared=self.prepared | paths)

    def local(self, address: Address) -> Path:
        """Where a file or folder in a store is put, below the folders that it has there."""
        return self.root / "in" / address.scheme / address.path.strip("/")

    def ready(self) -> None:
        """Make the local folder, which nobody else can read.

        Raises:
            UsageError: there is one of somebody else's.
            OutputError: it cannot be made.
        """
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.root.mkdir(0o700)
            status = self.root.lstat()
        except OSError as error:
            raise output_error(self.root, error) from error
        owned = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if self.root.is_symlink() or not self.root.is_dir() or not owned:
            raise UsageError(f"'{self.root}' is not yours", 'choose another scratch="..."')

    def unit(
        self,
        path: Path,
        folder: Path,
        receipt: str,
        records: Collection[str] = (),
    ) -> Unit:
        """A source and its results.

        Args:
            path: the source, local or one of ``sources``.
            folder: the local folder of its results, ``out`` or below it.
            receipt: what its receipt is called in that folder's `names.RECEIPTS`.
            records: see `publish.publish`.
        """
        target = None
        if self.target is not None:
            below = folder.relative_to(self.out).as_posix()
            target = self.target if below == "." else self.target.child(below)
        return Unit(
            path,
            self.sources.get(path),
            folder,
            target,
            f"{RECEIPTS}/{receipt}",
            tuple(records),
            path in self.prepared,
        )

    def bring_results(self, places: Collection[str]) -> None:
        """Bring what is not here yet of the results in the store.

        Args:
            places: files or folders, relative to the output folder.
        """
        if self.target is None:
            return
        there = listed(self.target, places)
        bring_folder(
            self.target, self.out, [name for name in there if not (self.out / name).is_file()]
        )

    def publish_closing(self, places: Collection[str]) -> None:
        """Publish what was made of all sources together, as a report.

        Args:
            places: files or folders, relative to the output folder; what is not there is left out.
        """
        if self.target is None:
            return
        made = tuple(place for place in places if (self.out / place).exists())
        origin = Origin(str(self.target), "", 0)
        publish(self.out, self.target, Receipt(origin, "", made), f"{RECEIPTS}/closing.json")

    def close(self) -> None:
        """Remove the empty folders of the stage, and all results if they are in a store."""
        if self.target is not None:
            shutil.rmtree(self.out, ignore_errors=True)
        for parent, _, _ in os.walk(self.root, topdown=False):
            with suppress(OSError):
                os.rmdir(parent)  # noqa: PTH106


@dataclass(frozen=True)
class Unit:
    """A source and its results, one or both of them in a store; see `Stage.unit`.

    Attributes:
        path: the source on this machine, or where it will be.
        source: where it lies in a store; None if it is here.
        folder: its results on this machine.
        target: the store's folder that ``folder`` stands for; None if results stay here.
        receipt: of it, relative to the folder.
        records: files that say that results are complete, relative to the folder.
        prepared: the source is a preprocessed folder.
    """

    path: Path
    source: Address | None
    folder: Path
    target: Address | None
    receipt: str
    records: tuple[str, ...] = ()
    prepared: bool = False

    @property
    def place(self) -> str:
        """Where the results are, for people."""
        return str(self.target or self.folder)

    def origin(self) -> Origin:
        """Which content the source is now; a file in a store is not read for that."""
        if self.source is not None:
            return look_inside(self.source, PREPARED) if self.prepared else look(self.source)
        if (self.path / RECORD).is_file():
            return look_inside(_local(self.path), PREPARED)
        sha256 = known_sha256(self.path)
        return Origin(self.path.name, sha256, self.path.stat().st_size, sha256)

    def finished(self, settings: str) -> Receipt | None:
        """The receipt of an earlier run, if nothing is left to do; no source is read.

        Args:
            settings: fingerprint of all that the results depend on beside the content.
        """
        known = read_receipt(self._at(self.receipt))
        if known is None or not known.answers(self.origin(), settings):
            return None
        there = all(self._at(record).info() is not None for record in self.records)
        return known if there else None

    @contextmanager
    def here(self, on_event: EventCallback = ignore_events) -> Iterator[Origin]:
        """A block in which the source is on this machine, and what was made of it before.

        What was brought goes in the end, also if the work failed; but not if it was interrupted,
        or a store failed: the next run goes on with it.
        """
        if self.source is None:
            origin = self.origin()
        elif self.prepared:
            origin = self.origin()
            bring_folder(self.source, self.path, PREPARED)
        else:
            origin = bring(self.source, self.path, on_event=on_event)
        try:
            self._earlier()
            yield origin
        except (RemoteError, OutputError):
            raise
        except AvaffectError:
            self._drop()
            raise
        self._drop()

    def keep(
        self,
        origin: Origin,
        settings: str,
        files: Collection[str],
        about: Mapping[str, Any],
    ) -> None:
        """Publish the results, if they go into a store, and write the receipt.

        Args:
            origin: of :meth:`here`.
            settings: as in :meth:`finished`.
            files: what is ours of the folder, relative with ``/``.
            about: for a table.

        Raises:
            ForeignFileError, RemoteError: as `publish.publish`.
        """
        receipt = Receipt(origin, settings, tuple(sorted(files)), about=dict(about))
        if self.target is None:
            write_receipt(self._at(self.receipt), replace(receipt, done=True))
            return
        publish(self.folder, self.target, receipt, self.receipt, records=self.records)

    def _earlier(self) -> None:
        """Bring the results of other settings: what depends on none of the changes is kept."""
        if self.target is None or self.prepared or self.folder.exists():
            return
        known = read_receipt(self._at(self.receipt))
        if known is not None and known.done:
            bring_folder(self.target, self.folder, known.files)

    def _at(self, name: str) -> Address:
        if self.target is not None:
            return self.target.child(name)
        return _local(self.folder).child(name)

    def _drop(self) -> None:
        if self.source is not None and self.prepared:
            shutil.rmtree(self.path, ignore_errors=True)
        elif self.source is not None and brought(self.path) is not None:
            drop(self.path)


@contextmanager
def edited(stage: Stage, path: Path) -> Iterator[None]:
    """A block in which a preprocessed folder is here; what it changes is published, if it lies
    in a store.

    Args:
        stage: see `Stage.with_prepared`.
        path: the folder; nothing is done if it lies here. Where `preprocess` left no receipt of
            it, all that `preprocess` leaves is ours.
    """
    source = stage.sources.get(path)
    if source is None:
        yield
        return
    unit = Unit(path, source, path, source, f"{RECEIPTS}/{RECORD}", (RECORD,), prepared=True)
    with unit.here() as origin:
        yield
        known = read_receipt(source.child(unit.receipt)) or Receipt(origin, "", PREPARED)
        publish(path, source, known, unit.receipt, records=unit.records, ours=PREPARED)


def _local(folder: Path) -> Address:
    return Address(f"file://{folder.absolute().as_posix()}")


def split_inputs(
    arguments: Sequence[str], stage: Stage, recursive: bool = False, prepared: bool = False
) -> tuple[list[str], Stage]:
    """The arguments that are local, and the stage with the files that the others stand for.

    Args:
        arguments: paths and addresses.
        stage: see `Stage.open`.
        recursive: see `inputs.find_files`.
        prepared: where there are preprocessed folders at an address, they are meant.

    Raises:
        InputNotFoundError, UsageError: as `inputs.find_files`.
    """
    local = [argument for argument in arguments if not is_remote(argument)]
    remote = [Address.of(argument) for argument in arguments if is_remote(argument)]
    for address in remote:
        if folders := find_prepared(address) if prepared else []:
            stage = stage.with_prepared(folders)
        else:
            stage = stage.with_sources(find_files(address, recursive))
    return local, stage
