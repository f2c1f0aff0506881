"""``avaffect predict``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from avaffect.challenge.editions import DEFAULT_EDITION, EDITIONS
from avaffect.cli.jobs import Engine, engine_options, run_items, seconds_of, segment_option
from avaffect.cli.options import (
    CLOCKS,
    CONVERTED,
    DEFAULT_OUT,
    FEATURES,
    FRAME_MODELS,
    POLICIES,
    WRITTEN,
    NameChoice,
    analysis_config,
    analysis_options,
    format_options,
    input_options,
)
from avaffect.errors import UnknownNameError, UsageError

# Beside a form that the tables are converted to.
TABLES_ALONE = "parquet"

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter, Row
    from avaffect.engines.item import Item
    from avaffect.predicting.own_clips import OwnClips


@click.command()
@click.argument("inputs", nargs=-1, metavar="[VIDEO|SOUND|PICTURE|FOLDER|GLOB ...]")
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
    "-m",
    "--model",
    default="starter-2",
    show_default=True,
    help="Which model predicts. The nets of starter-1 and starter-2 are for research and "
    "non-commercial use only.",
)
@click.option(
    "--checkpoint",
    type=click.Path(),
    help="Folder that `avaffect train` wrote: predict with that model.",
)
@click.option(
    "--frame-model",
    type=NameChoice(("auto", *FRAME_MODELS), "frame model"),
    default="auto",
    show_default=True,
    help="Net whose predictions for single faces the model uses. auto: the model's own.",
)
@format_options(CONVERTED | WRITTEN)
@click.option(
    "--edition",
    type=NameChoice(list(EDITIONS), "edition"),
    default=DEFAULT_EDITION,
    show_default=True,
    help="Edition of the challenge whose headers, classes and folders are used.",
)
@click.option(
    "--missing",
    type=NameChoice(POLICIES, "policy for missing frames"),
    default="linear",
    show_default=True,
    help="What the challenge's text files hold in frames without a face; invalid writes -5 / -1. "
    "Tables stay empty there.",
)
@click.option(
    "--smooth",
    default="auto",
    show_default=True,
    metavar="auto|off|KIND:SECONDS",
    help="Smooth over time: median, box, gaussian or savgol, e.g. gaussian:0.5, or each task "
    "by its own: va=box:3.4,au=box:0.2. auto: as suits the model, or as `avaffect tune` chose.",
)
@click.option(
    "--features",
    multiple=True,
    default=("auto",),
    show_default=True,
    metavar="auto|light|full|[NAME=]DIR",
    help="auto: what the model reads; light: the same, refusing a model that needs deep "
    "embeddings; full: deep embedding and sound too, kept in OUT/features. DIR: tables of your "
    "own that the --checkpoint was trained on; give it again for more.",
)
@click.option(
    "--clock",
    type=NameChoice(CLOCKS, "clock"),
    default="frame",
    show_default=True,
    help="What times in tables count from. frame: the first decoded frame; media: the file's own "
    "zero, as ELAN and sound editors count.",
)
@click.option(
    "--as-video",
    is_flag=True,
    help="Each FOLDER holds the numbered pictures (JPEG, PNG) of one video; --fps says how fast.",
)
@click.option(
    "--report/--no-report",
    default=True,
    show_default=True,
    help="Write report.html, a page for the browser, and summary.csv, a row a person, beside the "
    "tables.",
)
@click.option("--overwrite", is_flag=True, help="Predict again what is already there.")
@engine_options
@segment_option
@analysis_options
@click.pass_context
def predict(
    ctx: click.Context, inputs: tuple[str, ...], out: str, recursive: bool, **options: Any
) -> None:
    """Predict valence/arousal, expression and action units of every frame.

    Takes videos, or folders that `avaffect preprocess` wrote (by default ./avaffect_out). Writes
    the challenge's file for each subject and task (or as --format names), tables/SUBJECT.parquet
    and .csv with everything, and records/VIDEO.json with the whole configuration; of videos of
    one name in several folders, in these folders (tables/P01/session1.parquet). Open report.html
    to see it; summary.csv has a row a person.

    The default model, starter-2, was not trained on Aff-Wild2, and is for research only: see
    `avaffect models card starter-2`. With --checkpoint a model of your own predicts.
    Sound files are judged by the voice alone, pictures each for itself: a row a face in
    pictures.csv and .parquet. A folder stands for its videos, else its sound files, else its
    pictures. Inputs and --out may lie in an object store (s3://, gs://).

    \b
    Examples:
      avaffect predict video.mp4 --task all -o out/
      avaffect preprocess video.mp4 && avaffect predict --task va
      avaffect predict clips/ --task au --smooth gaussian:0.4 --missing invalid
      avaffect predict clips/ --task expr --format single --edition abaw8
      avaffect predict photos/ --task va,expr -o out/
      avaffect predict clips/ --checkpoint avaffect_run -o out/
      avaffect predict --checkpoint avaffect_run --features test_tables/ -o out/
      avaffect predict s3://bucket/videos -o s3://bucket/out
    """
    from avaffect.cli.batch import Predicting, close_batch, require_single
    from avaffect.cli.convert import say_converted
    from avaffect.cli.pictures import predict_pictures
    from avaffect.cli.remote import Published, Remotely, close_remote, require_whole, shown
    from avaffect.cli.terminal import Reporter, conclude, run_all
    from avaffect.config import AudioConfig, PredictConfig, fingerprint
    from avaffect.engines.item import Item, bytes_of
    from avaffect.files.names import RECORDS, TABLES
    from avaffect.media.still_picture import split_stills
    from avaffect.models.device import choose_device
    from avaffect.predicting.settings import parse_tasks, with_checkpoint, with_features
    from avaffect.predicting.sources import find_sources
    from avaffect.preprocessing.names import names_of
    from avaffect.progress import Notice
    from avaffect.remote.stage import Stage, split_inputs

    if options["offline"]:
        os.environ["AVAFFECT_OFFLINE"] = "1"
    fps = options["fps"]
    if options["as_video"]:
        # The video that is made of them has times.
        options["fps"] = None
    config = PredictConfig(
        model=options["model"],
        frame_model=options["frame_model"],
        tasks=parse_tasks(options["task"]),
        missing=options["missing"],
        smooth=options["smooth"],
        analysis=analysis_config(options, audio=AudioConfig()),
        noncommercial=not options["no_nc"],
        clock=options["clock"],
    )
    which, tables = _features(options["features"])
    own = None
    if tables:
        own = _own_clips(tables, inputs, {**options, "fps": fps})
    if options["checkpoint"]:
        arrays = () if own is None else own.tables.folders
        config = with_checkpoint(config, options["checkpoint"], arrays)
    config = with_features(config, which)
    reporter = Reporter(options["quiet"])
    alone = own is not None and not inputs
    inputs = inputs or (() if alone else _default_inputs())
    stage = Stage.open(out, options["scratch"])
    if own is not None and alone:
        stills, sources = [], list(own.paths())
    elif options["as_video"]:
        stills, sources = [], _videos_of(inputs, out, fps, reporter)
    else:
        local, stage = split_inputs(inputs, stage, recursive, prepared=True)
        here = find_sources(local, recursive, reporter) if local or not stage.sources else []
        stills, sources = split_stills(here)
        sources += stage.sources
    names = names_of(sources, inputs)
    converted = options["form"] if options["form"] not in WRITTEN else None
    if converted:
        options["form"] = TABLES_ALONE
    seconds = seconds_of(options, ctx.obj)
    require_whole(stage, seconds)
    if stage.target is not None and (stills or alone or which == "full" or options["as_video"]):
        raise UsageError(
            "pictures, tables of your own and features are not written to an object store here",
            "give a local --out, or let `avaffect preprocess` make the features",
        )
    engine = Engine.of(options, debug=ctx.obj)
    spreads = engine.spreads(len(sources), seconds is not None)
    if spreads and own is not None:
        raise UsageError(
            "tables of your own are read by one process, not by several",
            "leave out --jobs and --engine",
        )
    root, called = stage.out, {str(source): name for source, name in names.items()}
    out = str(root)
    with ExitStack() as stack:
        stack.enter_context(reporter)
        if stills:
            device = choose_device(options["device"])
            asked = {**options, "out": out}
            of_stills = predict_pictures(stills, inputs, config, device.name, asked, reporter)
            if not sources:
                ctx.exit(of_stills)
        else:
            of_stills = 0
        stack.enter_context(engine.ready(reporter))
        device = engine.device(options["device"])
        first = not (root / RECORDS).is_dir()
        job = Predicting(
            config,
            device.name,
            called,
            {name: options[name] for name in ("form", "edition", "overwrite", "csv", "decimal")},
            keep=which == "full",
            own=own,
            seconds=seconds,
        )
        # What is wrong with the settings shows here, before anything is begun.
        batch = (replace(job, device="cpu") if spreads else job).batch(root, reporter)
        require_single(batch, stage, spreads, options["form"])
        remotely = None
        if stage.is_used:
            stage.ready()
            settings = fingerprint([batch.settings, options["csv"], options["decimal"]])
            results = Published(root, called, settings)
            remotely = Remotely(job, stage, results, options["overwrite"])
        items = {each: Item(str(each), out, bytes_of(each)) for each in sources}
        reporter.say(f"device: {device.description}")
        rows: list[Row] = []

        def notes() -> None:
            # Once: who goes on in the same folder has read them.
            for note in batch.predictor.notes if first else ():
                reporter(Notice(f"note: {note}"))
            changed = not all(row.again for row in rows if row.frames != "-")
            if stage.target is not None:
                closing = options["report"] or bool(converted)
                close_remote(stage, closing and changed, end, reporter)
            else:
                reporter.say_table(TABLES, root / TABLES, options["csv"])
                end(changed)
            for note in () if own is None else own.tables.told():
                reporter(Notice(note))

        def end(changed: bool) -> None:
            if options["report"]:
                videos = [] if alone else sources
                place = str(stage.target or root)
                close_batch(root, videos, changed, options["decimal"], reporter, place)
            if converted:
                say_converted(reporter, [root], converted)

        with batch:
            if spreads:
                given, todo = [*items.values()], remotely or job
                rows += run_items(given, todo, engine, root, device.name, reporter)
                code = conclude(sources, rows, reporter, names, at_end=notes)
            else:

                def one(item: Item) -> Row:
                    return job.row(lambda _: batch, item)

                def work(source: Path) -> Row:
                    item = items[source]
                    row = remotely.around(one, item, reporter) if remotely else one(item)
                    rows.append(row)
                    return row

                code = run_all(
                    sources,
                    work,
                    reporter,
                    names,
                    debug=ctx.obj,
                    at_end=notes,
                    called=shown(stage),
                )
    if stage.is_used:
        stage.close()
    ctx.exit(code or of_stills)


def _features(given: Sequence[str]) -> tuple[str, list[str]]:
    """Which features are made, and the folders of tables."""
    words = [text for text in given if text in FEATURES]
    if len(words) > 1:
        raise UsageError(
            f"--features is given as {' and '.join(words)}", "choose one; folders may be several"
        )
    return (words or ["auto"])[0], [text for text in given if text not in FEATURES]


def _own_clips(tables: Sequence[str], inputs: Sequence[str], options: dict[str, Any]) -> OwnClips:
    """The tables in folders; an unknown word is no folder."""
    from avaffect.predicting.own_clips import OwnClips

    for text in tables:
        if not Path(text.partition("=")[2] or text).is_dir() and not Path(text).is_dir():
            raise UnknownNameError("folder or choice of features", text, FEATURES)
    if options["checkpoint"] is None:
        raise UsageError(
            "features of your own are for a model that was trained on them",
            "name it by --checkpoint",
        )
    return OwnClips.find(tables, options["checkpoint"], not inputs, options["fps"])


def _default_inputs() -> tuple[str, ...]:
    from avaffect.predicting.sources import preprocessed_in

    if not preprocessed_in(Path(DEFAULT_OUT)):
        raise UsageError(
            f"no input was given and '{DEFAULT_OUT}' holds no preprocessed video",
            "name a video, or run `avaffect preprocess VIDEO` first",
        )
    return (DEFAULT_OUT,)


def _videos_of(
    folders: Sequence[str], out: str, fps: float | None, reporter: Reporter
) -> list[Path]:
    """The videos that are made of folders of numbered pictures."""
    from avaffect.files.names import MADE_VIDEOS
    from avaffect.files.outside import real_path
    from avaffect.media.local import local_path
    from avaffect.media.numbered import video_of_frames

    if fps is None:
        raise UsageError(
            "how many of the pictures are one second is not known", "use fps=N, such as fps=25"
        )
    made = {}
    for folder in map(local_path, folders):
        name = real_path(folder).name
        if name in made:
            raise UsageError(f"two folders are called '{name}'", "give them in two runs")
        target = Path(out, MADE_VIDEOS, f"{name}.mov")
        made[name] = video_of_frames(folder, target, fps, reporter)
    return list(made.values())
