"""``predict`` for one source after the other, into one output folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING

from avaffect.challenge.editions import DEFAULT_EDITION
from avaffect.challenge.places import checked, joined, remove_empty
from avaffect.config import PredictConfig, fingerprint
from avaffect.errors import AvaffectError, ForeignFileError, OutputError, UsageError
from avaffect.files.csv_text import DECIMALS
from avaffect.media.source import Source, open_source, read_header
from avaffect.predicting.beside import places, prepared_beside
from avaffect.predicting.outputs import Outputs, ready
from avaffect.predicting.records import WORK
from avaffect.predicting.run import predict_folder, predict_video, predict_voice
from avaffect.predicting.settings import require_licences
from avaffect.predicting.writers.registry import DEFAULT_FORM, require_form
from avaffect.predicting.writers.writer import Ready
from avaffect.predictions.smooth import parse_smoothing
from avaffect.predictors.build import build_predictor
from avaffect.preprocessing.run import NetsLoader
from avaffect.preprocessing.segments import cut, pass_segment
from avaffect.preprocessing.sound_file import settings_key, voice_keys
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.store.keys import keys, pass_key
from avaffect.store.prepared import Prepared, is_preprocessed, sound_only, source_name
from avaffect.store.subject import FACES

if TYPE_CHECKING:
    from avaffect.datasets.own_tables import OwnClip
    from avaffect.predicting.own_clips import OwnClips


@dataclass(frozen=True)
class Predicted:
    """The outcome of a source.

    Attributes:
        frames: rows of every file.
        found: frames with a face, of the subject seen most often.
        valued: frames with a value of their own, from face or voice.
        faces: by subject, frames with a face.
        files: how many files there are of it.
        again: whether an earlier run with the same settings had written them all.
        rotate: the ``MediaConfig.rotate`` by which faces would be upright; None if they are.
        sound_only: the source has no picture, so nobody was looked for.
    """

    frames: int
    found: int
    valued: int
    faces: Mapping[str, int]
    files: int
    again: bool
    rotate: int | None = None
    sound_only: bool = False

    @property
    def subjects(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.faces)


class PredictBatch:
    """Predicts sources with the same nets; call it with each. A context manager.

    What an earlier run with the same settings has written is not predicted again; an interrupted
    pass over a video goes on where it stopped.

    Args:
        out: the output folder.
        config: the settings, see :func:`avaffect.predicting.run.with_features`.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        form: a key of ``writers.registry.WRITERS``. Files for all subjects, as ``single`` and
            ``mtl`` have, hold all sources of the batch; they are written when the block ends,
            unless all failed.
        edition: an edition of ``challenge.editions.EDITIONS``.
        own: tables of own features, beside the features of preprocessed folders or alone.
        store: the folder in which to keep the features of a video, by the video's name; None
            keeps none.
        overwrite: predict again what is there already.
        csv: whether each table lies beside it as CSV too.
        decimal: one of ``files.csv_text.DECIMALS``, for the CSV. Where it alone changes, nothing
            is predicted again.
        on_event: progress and notices.

    Raises:
        UsageError: for settings that do not exist or do not go together, or a net that they
            exclude by its licence.
        BusyError: another process writes the file for all subjects, or works on the same source.
        ForeignFileError: something is in the way that avaffect did not write.
    """

    def __init__(
        self,
        out: Path,
        config: PredictConfig,
        *,
        device: str = "cpu",
        form: str = DEFAULT_FORM,
        edition: str = DEFAULT_EDITION,
        own: OwnClips | None = None,
        store: Callable[[str], Path] | None = None,
        overwrite: bool = False,
        csv: bool = True,
        decimal: str = DECIMALS[0],
        on_event: EventCallback = ignore_events,
    ) -> None:
        require_form(form, edition, config.tasks)
        self._outputs = Outputs(out, edition, form, config.tasks, decimal if csv else None)
        parse_smoothing(config.smooth, "off")
        require_licences(config)
        self.predictor = build_predictor(config, device)
        self._config = config
        self._device = device
        self._nets = NetsLoader(config.analysis, device)
        self._own = own
        # By a file of it, each clip that is predicted from tables alone.
        self._clips = {} if own is None else own.paths()
        self._store = store
        self._overwrite = overwrite
        self._on_event = on_event
        self._owners = self._outputs.owners()
        # Those of earlier runs that a single file written now would no longer hold.
        self._earlier = set(self._owners)
        self._opened = False
        self._stack = ExitStack()

    @property
    def shared(self) -> bool:
        """Whether there are files for all subjects, which one process writes."""
        return bool(self._outputs.writer.shared)

    @property
    def settings(self) -> str:
        """Fingerprint of all that the files of a video depend on but its content and name."""
        features = settings_key(self._config.analysis)
        return self._outputs.key(features, self.predictor.fingerprint, self._config)

    def __enter__(self) -> PredictBatch:
        """Raises BusyError, ForeignFileError about the files for all subjects."""
        self._stack.__enter__()
        if shared := self._outputs.writer.shared:
            # Whoever ended last would leave its own rows alone.
            self._stack.enter_context(self._outputs.alone_with_single())
            self._outputs.require_ours(shared)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        remove_empty(self._outputs.root / WORK, self._outputs.root)
        if error is None and self._opened and self._earlier:
            self._on_event(
                Notice(
                    f"the single file holds this run's inputs only, not {len(self._earlier)} "
                    "subjects of earlier runs: give all inputs in one command",
                    warning=True,
                )
            )

    def __call__(self, source: Path, name: PurePath | str | None = None) -> Predicted:
        """Predict a video or preprocessed folder and write its files.

        Args:
            source: which.
            name: what its files are called, with the folders that they lie in below those of the
                output, such as ``P01/session1``; None takes its own name.

        Raises:
            UsageError: files cannot be called so.
            AvaffectError: as :func:`avaffect.predict`; OutputError if a file cannot be written.
        """
        own = source_name(source)
        name = checked(name or own).as_posix()
        opened: Source | Prepared | OwnClip
        if is_preprocessed(source):
            opened = Prepared(source)
            pictures = FACE_PICTURES in self.predictor.needs
            made_with, video = opened.made_with(pictures), opened.video
            stored = opened.subjects()
            no_picture = sound_only(stored)
            if self._own is not None:
                made_with = fingerprint([made_with, *self._own.beside(stored)])
        elif self._own is not None and source in self._clips:
            opened = self._own.open(self._clips[source])
            video, no_picture = {"name": source.name, "sha256": opened.sha256}, False
            made_with = self._own.made_with(opened)
        else:
            opened = open_source(source, self._config.analysis.media)
            video = {"name": source.name, "sha256": opened.sha256}
            no_picture = opened.kind == "sound"
            make_keys = voice_keys if no_picture else keys
            made_with = fingerprint(make_keys(opened.sha256, self._config.analysis))
        key = self._outputs.key(made_with, self.predictor.fingerprint, self._config)
        sha256 = str(video.get("sha256", ""))
        try:
            with self._outputs.alone(name):
                self._outputs.tidy(name)
                if not self._overwrite:
                    self._outputs.require_free_for(name, video)
                    if known := self._known(name, key):
                        # A run may have been killed between its record and this.
                        shutil.rmtree(self._work(name, sha256), ignore_errors=True)
                        return replace(known, sound_only=no_picture)
                self._outputs.require_place(name, sha256)
                done = self._predict(opened, name, self._work(name, sha256), key)
                return replace(done, sound_only=no_picture)
        finally:
            # An interrupted pass, or another process's lock, may be in it.
            remove_empty((self._outputs.root / WORK / name).parent, self._outputs.root)

    def cut(
        self, video: Path, seconds: float, name: PurePath | str | None = None
    ) -> tuple[int, str]:
        """Plan the segments in which a video is gone through, before it is predicted.

        Args:
            video: the source.
            seconds: of a segment, about.
            name: as for predicting it.

        Returns:
            How many segments, 0 if it is no video, gone through in one go, or predicted already;
            and its SHA-256, for :meth:`segment`.

        Raises:
            UsageError, MediaError, OutputError: as for predicting it.
        """
        whole = self._own is not None or FACE_PICTURES in self.predictor.needs
        if whole or is_preprocessed(video):
            return 0, ""
        name = checked(name or source_name(video)).as_posix()
        analysis = self._config.analysis
        opened = open_source(video, analysis.media)
        if opened.kind == "sound":
            return 0, opened.sha256
        wanted = keys(opened.sha256, analysis)
        key = self._outputs.key(fingerprint(wanted), self.predictor.fingerprint, self._config)
        done = not self._overwrite and self._outputs.written(name, key) is not None
        if done or self._prepared(opened, name, joined(PurePath(name))) is not None:
            return 0, opened.sha256
        work, pass_of = self._work(name, opened.sha256), self._pass_key(opened.sha256)
        count = cut(opened, analysis, work, pass_of, seconds, on_event=self._on_event)
        return count, opened.sha256

    def segment(
        self, video: Path, sha256: str, number: int, name: PurePath | str | None = None
    ) -> None:
        """Go through one segment of a video.

        Args:
            video: the source.
            sha256: what :meth:`cut` gave.
            number: of the segment, from 0.
            name: as for predicting it.

        Raises:
            BusyError: another process goes through it.
            MediaError, OutputError, KeyboardInterrupt: as for predicting it.
        """
        name = checked(name or source_name(video)).as_posix()
        analysis = self._config.analysis
        source = Source(video, read_header(video, analysis.media), sha256)
        work, key = self._work(name, sha256), self._pass_key(sha256)
        on_event = self._on_event
        pass_segment(source, analysis, self._nets, work, key, number, on_event=on_event)

    def _work(self, name: str, sha256: str) -> Path:
        """The folder of the unfinished pass over a video."""
        return self._outputs.root / WORK / f"{name}-{sha256[:8]}"

    def _pass_key(self, sha256: str) -> str:
        analysis = self._config.analysis
        return pass_key(keys(sha256, analysis), (FACES, *analysis.encoders))

    def _predict(
        self, source: Source | Prepared | OwnClip, name: str, work: Path, key: str
    ) -> Predicted:
        tables = None if self._own is None else self._own.tables
        if isinstance(source, Prepared):
            result = predict_folder(source.root, self._config, self.predictor, tables)
        elif not isinstance(source, Source):
            from avaffect.predicting.own_clips import predict_own

            assert self._own is not None  # noqa: S101 - it opened the clip
            result = predict_own(source, self._own, self._config, self.predictor)
        else:
            store = None if self._store is None else Prepared(self._store(name))
            subject = joined(PurePath(name))
            named = {} if subject == source.path.stem else {"name": subject}
            if source.kind == "sound":
                result = predict_voice(
                    source,
                    self._config,
                    self.predictor,
                    work,
                    store=store,
                    **named,
                    device=self._device,
                    on_event=self._on_event,
                )
            else:
                result = predict_video(
                    source,
                    self._config,
                    self.predictor,
                    self._nets,
                    work,
                    store=store,
                    prepared=self._prepared(source, name, subject) if store is None else None,
                    **named,
                    on_event=self._on_event,
                )
        result = result.on(self._device)
        subjects = tuple(prediction.subject for prediction in result.predictions)
        with self._outputs.writing():
            # Another process may have written other sources' meanwhile.
            self._owners |= self._outputs.owners(but=set(self._owners.values()))
            self._claim(name, subjects)
            files = self._outputs.write(name, result, key)
        self._add(ready(name, result))
        if isinstance(source, Source):
            shutil.rmtree(work, ignore_errors=True)
        faces = dict(zip(subjects, result.faces, strict=True))
        return Predicted(
            result.frames,
            result.found,
            result.valued,
            faces,
            len(files),
            again=False,
            rotate=result.rotate,
        )

    def _prepared(self, video: Source, name: str, subject: str) -> Prepared | None:
        found_at = places(video.path, self._outputs.root, name)
        return prepared_beside(video, self._config.analysis, found_at, subject, self._on_event)

    def _known(self, name: str, key: str) -> Predicted | None:
        record = self._outputs.written(name, key)
        if record is None:
            return None
        try:
            record = self._outputs.complete(name, record)
            subjects = self._outputs.read(name, record) if self._outputs.writer.shared else []
            faces = {subject: int(record["faces"][subject]) for subject in record["subjects"]}
            known = Predicted(
                record["frames"],
                record["frames_with_face"],
                record["frames_with_value"],
                faces,
                len(record["files"]),
                True,
                record.get("rotate"),
            )
        except (ForeignFileError, OutputError):
            raise
        except (AvaffectError, LookupError):
            return None  # damaged: predict again
        if self._outputs.writer.shared:
            self._outputs.name_single(name)
        self._add(subjects)
        return known

    def _claim(self, name: str, subjects: Sequence[str]) -> None:
        """Refuse a video whose subject has the name of another video's, as `a` and `a_left`."""
        for subject in subjects:
            other = self._owners.setdefault(subject, name)
            if other != name:
                raise UsageError(
                    f"'{other}' and '{name}' both have a subject called '{subject}'",
                    "rename one of the videos, or predict them into different folders",
                )

    def _add(self, subjects: Sequence[Ready]) -> None:
        """Write into the files for all subjects, if the form has any."""
        writer = self._outputs.writer
        if not writer.shared:
            return
        # Opened when the first source is done: if all fail, an earlier run's files stay.
        if not self._opened:
            self._stack.enter_context(writer.open())
            self._opened = True
        for subject in subjects:
            self._earlier.discard(subject.prediction.subject)
            writer.write(subject)
