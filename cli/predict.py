"""``avaffect predict``."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from avaffect.cli.options import (
    DEFAULT_OUT,
    FRAME_MODELS,
    analysis_config,
    analysis_options,
    input_options,
)
from avaffect.errors import UsageError
from avaffect.files.editions import DEFAULT_EDITION, EDITIONS, FORMATS


@click.command()
@click.argument("inputs", nargs=-1, metavar="[VIDEO|FOLDER|GLOB ...]")
@input_options
@click.option(
    "-t",
    "--task",
    default="all",
    show_default=True,
    metavar="va|expr|au|all",
    help="What to predict; several with commas.",
)
@click.option(
    "-m", "--model", default="starter-0", show_default=True, help="Which model predicts."
)
@click.option(
    "--frame-model",
    type=click.Choice(FRAME_MODELS),
    default="fer",
    show_default=True,
    help="Net whose opinion on single frames the model uses; all but fer also give VA.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="files",
    show_default=True,
    help="files: a file a subject; single: one predictions.txt a task; mtl: one file.",
)
@click.option(
    "--edition",
    type=click.Choice(list(EDITIONS)),
    default=DEFAULT_EDITION,
    show_default=True,
    help="Edition of the challenge whose headers, classes and folders are used.",
)
@click.option(
    "--missing",
    type=click.Choice(["linear", "nearest", "previous", "invalid"]),
    default="linear",
    show_default=True,
    help="What stands in frames without a face; invalid writes -5 / -1.",
)
@click.option(
    "--smooth",
    default="off",
    show_default=True,
    metavar="off|KIND:SECONDS",
    help="Smooth over time: median, box, gaussian or savgol, e.g. gaussian:0.5.",
)
@click.option(
    "--features",
    type=click.Choice(["auto", "light", "full"]),
    default="auto",
    show_default=True,
    help="auto: what the model reads; light: the same, refusing a model that needs deep "
    "embeddings; full: deep embedding and sound too, kept in OUT/features.",
)
@click.option("--overwrite", is_flag=True, help="Predict again what is already there.")
@analysis_options
@click.pass_context
def predict(
    ctx: click.Context, inputs: tuple[str, ...], out: str, recursive: bool, **options: Any
) -> None:
    """Predict valence/arousal, expression and action units of every frame.

    Takes videos, or folders that `avaffect preprocess` wrote (by default ./avaffect_out). Writes
    the challenge's file for each subject and task, tables/SUBJECT.parquet with everything, and
    records/VIDEO.json with the whole configuration.

    The default model, starter-0, is a starter: not trained on Aff-Wild2, AU are proxies.

    \b
    Examples:
      avaffect predict video.mp4 --task all -o out/
      avaffect preprocess video.mp4 && avaffect predict --task va
      avaffect predict clips/ --task au --smooth gaussian:0.4 --missing invalid
      avaffect predict clips/ --task expr --format single --edition abaw8
    """
    from avaffect.cli.report import Reporter, run_all
    from avaffect.files.editions import check_choice
    from avaffect.pipeline.outputs import require_distinct
    from avaffect.pipeline.predict import parse_tasks
    from avaffect.predictions.smooth import parse_smoothing

    if options["offline"]:
        os.environ["AVAFFECT_OFFLINE"] = "1"
    tasks = parse_tasks(options["task"])
    parse_smoothing(options["smooth"])
    check_choice(options["edition"], options["form"], tasks)
    sources = _sources(inputs, recursive)
    require_distinct(sources)
    with Reporter(options["quiet"]) as reporter, ExitStack() as stack:
        job = _Job(Path(out), tasks, options, len(sources) == 1, reporter, stack)
        code = run_all(sources, job, reporter, bool(ctx.obj))
        for note in job.predictor.notes:
            reporter.say(f"note: {note}")
    ctx.exit(code)


def _sources(inputs: tuple[str, ...], recursive: bool) -> list[Path]:
    from avaffect.media.inputs import expand_inputs

    if not inputs:
        if not _preprocessed(Path(DEFAULT_OUT)):
            raise UsageError(
                f"no input was given and '{DEFAULT_OUT}' holds no preprocessed video",
                "name a video, or run `avaffect preprocess VIDEO` first",
            )
        inputs = (DEFAULT_OUT,)
    sources: list[Path] = []
    for one in inputs:
        folders = _preprocessed(Path(one))
        sources += folders or expand_inputs([one], recursive)
    return list(dict.fromkeys(sources))


def _preprocessed(path: Path) -> list[Path]:
    """The preprocessed folders at ``path``: itself or those in it."""
    from avaffect.pipeline.folder import is_preprocessed

    if is_preprocessed(path):
        return [path]
    return sorted(one for one in path.iterdir() if is_preprocessed(one)) if path.is_dir() else []


class _Job:
    """Predicts one source after the other with the same nets and into the same outputs."""

    def __init__(
        self,
        out: Path,
        tasks: tuple[str, ...],
        options: dict[str, Any],
        alone: bool,
        reporter: Any,
        stack: ExitStack,
    ) -> None:
        from avaffect.config import AudioConfig, PredictConfig
        from avaffect.files.challenge import open_single, single_path
        from avaffect.models.device import choose_device
        from avaffect.pipeline.outputs import Outputs
        from avaffect.pipeline.predict import light
        from avaffect.pipeline.preprocess import NetsLoader
        from avaffect.predictions.predictor import build_predictor

        config = PredictConfig(
            model=options["model"],
            frame_model=options["frame_model"],
            tasks=tasks,
            missing=options["missing"],
            smooth=options["smooth"],
            analysis=analysis_config(options, audio=AudioConfig()),
        )
        self.predictor = build_predictor(config.model, config.frame_model)
        self.config = light(config)
        read = self.config.analysis.encoders
        if options["features"] == "light" and "efficientnet-lite0" in read:
            raise UsageError(
                f"the model '{config.model}' reads deep embeddings", "use --features auto"
            )
        self.keep = options["features"] == "full"
        if self.keep:
            encoders = tuple(dict.fromkeys(("efficientnet-lite0", *read)))
            analysis = replace(config.analysis, encoders=encoders)
            self.config = replace(config, analysis=analysis)
        self.out, self.alone, self.reporter = out, alone, reporter
        self.owners: dict[str, Path] = {}
        self.overwrite = options["overwrite"]
        device = choose_device(options["device"])
        reporter.say(f"device: {device.description}")
        self.nets = NetsLoader(self.config.analysis, device.name)
        form, edition = options["form"], options["edition"]
        self.outputs = Outputs(out, edition, files=form == "files")
        kinds = {"files": (), "single": tasks, "mtl": ("mtl",)}[form]
        self.single = [
            stack.enter_context(open_single(single_path(out, kind, edition), kind, edition))
            for kind in kinds
        ]

    def __call__(self, source: Path) -> Any:
        from avaffect.media.probe import video_hash
        from avaffect.pipeline.folder import Folder
        from avaffect.pipeline.predict import predict_folder, predict_video

        is_video = source.is_file()
        sha256 = video_hash(source) if is_video else Folder(source).made_with()
        key = self.outputs.key(sha256, self.config)
        record = self.outputs.written(source, key)
        if record and not self.overwrite:
            self._add_to_single(self.outputs.read(record))
            return self._row(source, record["frames"], record["frames_with_face"],
                             record["subjects"], "already done")  # fmt: skip
        if is_video:
            work = self.out / ".work" / f"{source.stem}-{sha256[:8]}"
            folder = Folder(self.out if self.alone else self.out / source.stem)
            result = predict_video(
                source,
                self.config,
                self.predictor,
                self.nets,
                work,
                store=folder if self.keep else None,
                on_event=self.reporter,
            )
        else:
            work = None
            result = predict_folder(source, self.config, self.predictor)
        self._claim(source, [one.subject for one in result.predictions])
        paths = self.outputs.write(result, key)
        self._add_to_single(result.predictions)
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
            if not any(work.parent.iterdir()):
                work.parent.rmdir()
        names = [one.subject for one in result.predictions]
        outcome = f"{len(paths)} files in {self.out}"
        return self._row(source, result.frames, result.found, names, outcome)

    def _claim(self, source: Path, subjects: list[str]) -> None:
        """Refuse a video whose subject has the name of another video's, as `a` and `a_left`."""
        for subject in subjects:
            other = self.owners.setdefault(subject, source)
            if other != source:
                raise UsageError(
                    f"'{other.name}' and '{source.name}' both have a subject called '{subject}'",
                    "rename one of the videos, or predict them into different folders",
                )

    def _add_to_single(self, predictions: Any) -> None:
        for writer in self.single:
            for prediction in predictions:
                writer.add(prediction)

    def _row(
        self, source: Path, frames: int, faces: int, subjects: list[str], outcome: str
    ) -> Any:
        from avaffect.cli.report import Row

        prefix = "ok" if faces else "no face, all rows missing"
        return Row(source.name, str(frames), str(faces), " ".join(subjects),
                   f"{prefix} ({outcome})", 0 if faces else 1)  # fmt: skip
