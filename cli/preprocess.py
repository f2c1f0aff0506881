"""``avaffect preprocess``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

import click

from avaffect.cli.jobs import (
    Engine,
    alone,
    engine_options,
    run_items,
    seconds_of,
    segment_option,
)
from avaffect.cli.options import (
    ENCODERS,
    NameChoice,
    analysis_config,
    analysis_options,
    input_options,
)
from avaffect.config import AnalysisConfig, FaceConfig

if TYPE_CHECKING:
    from avaffect.cli.terminal import Row
    from avaffect.engines.item import Item, Job, Split
    from avaffect.progress import EventCallback
    from avaffect.remote.stage import Stage, Unit


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="VIDEO|SOUND|FOLDER|GLOB ...")
@input_options
@click.option(
    "--encoder",
    "encoders",
    type=NameChoice(ENCODERS, "encoder"),
    multiple=True,
    help="Net to run on each aligned face; may be given several times.  [default: "
    "efficientnet-lite0 and that of `predict`'s default model]",
)
@click.option(
    "--crop-size",
    type=click.IntRange(16, 1024),
    default=FaceConfig.crop_size,
    show_default=True,
    metavar="PIXELS",
    help="Side of the aligned face.",
)
@click.option(
    "--no-audio", is_flag=True, help="Leave the sound out: its features, and the voice too."
)
@click.option(
    "--voice/--no-voice",
    default=None,
    help="The expressions that a net hears in the voice.  "
    "[default: if `predict`'s default model listens]",
)
@click.option(
    "--mel-scale",
    type=click.Choice(["log", "linear"]),
    default="log",
    show_default=True,
    help="Mel values as decibels, or as power; MFCC are made of decibels.",
)
@click.option(
    "--sound-rate",
    type=click.FloatRange(1, 1000),
    default=AnalysisConfig.sound_rate,
    show_default=True,
    metavar="HZ",
    help="Rows a second for files without a picture.",
)
@engine_options
@segment_option
@analysis_options
@click.pass_context
def preprocess(
    ctx: click.Context,
    inputs: tuple[str, ...],
    out: str,
    recursive: bool,
    encoders: tuple[str, ...],
    no_audio: bool,
    voice: bool | None,
    mel_scale: Literal["log", "linear"],
    sound_rate: float,
    **options: Any,
) -> None:
    """Cut out aligned faces, sound and features of videos, and features of sound files.

    Writes cropped_aligned/SUBJECT/00001.jpg (numbered by frame, absent where there is no face),
    audio.wav (16 kHz mono) and features/SUBJECT/ into the output folder; with several videos, into
    a folder each. Run again it does only what is missing or changed. A file of sound alone gets
    audio.wav and features/; a folder without a video stands for its sound files. Inputs and --out
    may lie in an object store; a video that is done is not read again.

    \b
    Examples:
      avaffect preprocess video.mp4
      avaffect preprocess video.mp4 -o out/ --subjects all
      avaffect preprocess "clips/*.mp4" more_clips/ --recursive -o out/
      avaffect preprocess voices/ -o out/ --sound-rate 50
      avaffect preprocess s3://bucket/videos -o s3://bucket/prepared
    """
    from avaffect.cli.remote import Remotely, require_whole, shown
    from avaffect.cli.terminal import Reporter, conclude, run_all
    from avaffect.config import AudioConfig, PredictConfig
    from avaffect.engines.item import Item, bytes_of
    from avaffect.media.inputs import expand_inputs
    from avaffect.predicting.settings import require_licences, with_features
    from avaffect.preprocessing.names import names_of
    from avaffect.remote.stage import Stage, split_inputs
    from avaffect.sound.voice import DEFAULT_VOICE

    if options["offline"]:
        os.environ["AVAFFECT_OFFLINE"] = "1"
    default = PredictConfig(noncommercial=not options["no_nc"])
    wanted = with_features(default, "full").analysis
    if voice is None:
        voice = not no_audio and wanted.voice is not None
    config = analysis_config(
        options,
        encoders=encoders or wanted.encoders,
        audio=None if no_audio else AudioConfig(mel_scale=mel_scale),
        voice=DEFAULT_VOICE if voice else None,
        sound_rate=sound_rate,
    )
    require_licences(replace(default, analysis=config))
    engine = Engine.of(options, debug=ctx.obj)
    seconds = seconds_of(options, ctx.obj)
    reporter = Reporter(options["quiet"])
    local, stage = split_inputs(inputs, Stage.open(out, options["scratch"]), recursive)
    videos = list(stage.sources)
    if local or not videos:
        videos = expand_inputs(local, recursive, sound=True, on_event=reporter) + videos
    names = names_of(videos, inputs)
    require_whole(stage, seconds)
    targets = {each: stage.out / names[each] if len(videos) > 1 else stage.out for each in videos}
    items = {each: Item(str(each), str(targets[each]), bytes_of(each)) for each in videos}
    with reporter, engine.ready(reporter):
        device = engine.device(options["device"])
        reporter.say(f"device: {device.description}")
        called = {str(each): names[each] for each in videos}
        preparing = Preprocessing(config, device.name, called, seconds)
        job: Job[Row] = preparing
        if stage.is_used:
            stage.ready()
            job = Remotely(preparing, stage, preparing)
        if engine.spreads(len(videos), seconds is not None):
            rows = run_items([*items.values()], job, engine, stage.out, device.name, reporter)
            code = conclude(videos, rows, reporter, names)
        else:
            with job(reporter) as work:
                do, given = alone(work, items), shown(stage)
                code = run_all(videos, do, reporter, names, debug=ctx.obj, called=given)
    if stage.is_used:
        stage.close()
    ctx.exit(code)


@dataclass(frozen=True)
class Preprocessing:
    """What is done to each input, in this process or another; see ``engines.item.Job``.

    Attributes:
        config: the settings.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        names: by input, what its results are called.
        seconds: of segments; None cuts nothing.
    """

    config: AnalysisConfig
    device: str
    names: Mapping[str, PurePath]
    seconds: float | None = None

    @contextmanager
    def __call__(self, on_event: EventCallback) -> Iterator[Callable[[Item], Row | Split]]:
        """The work, with nets that are loaded once; ``on_event`` gets its events."""
        from avaffect.challenge.places import joined
        from avaffect.cli.terminal import Row
        from avaffect.engines.item import Split, opened
        from avaffect.preprocessing.run import NetsLoader
        from avaffect.preprocessing.run import preprocess as run
        from avaffect.preprocessing.segmented import cut_for_preprocess, preprocess_segment

        nets = NetsLoader(self.config, self.device)

        def work(item: Item) -> Row | Split:
            name = joined(self.names[item.source])
            with opened(item) as here:
                if item.segment is not None:
                    preprocess_segment(
                        here.source,
                        here.out,
                        self.config,
                        item.about,
                        item.segment,
                        nets=nets,
                        on_event=on_event,
                    )
                    return Row(here.source.name, "ok (a segment)")
                if self.seconds is not None and not item.segments:
                    segments, sha256 = cut_for_preprocess(
                        here.source, here.out, self.config, self.seconds, on_event
                    )
                    if segments:
                        return Split(segments, sha256)
                done = run(
                    here.source, here.out, self.config, nets=nets, name=name, on_event=on_event
                )
            outcome = f"{', '.join(done.done) or 'nothing to do'} in {item.out}"
            if done.sound_only:
                return Row(here.source.name, f"ok ({outcome})", str(done.frames))
            return Row.done(
                here.source, done.frames, done.faces, done.subjects, outcome, rotate=done.rotate
            )

        yield work

    def unit(self, stage: Stage, item: Item) -> Unit:
        """An input and its folder, where one of them is in a store."""
        from avaffect.files.names import RECORD

        return stage.unit(Path(item.source), Path(item.out), RECORD, [RECORD])

    def files(self, item: Item) -> set[str]:
        """What is ours of an input's folder."""
        from avaffect.files.names import RECORD
        from avaffect.store.prepared import Prepared

        return {RECORD, *Prepared(Path(item.out)).ours()}

    def settings(self, item: Item) -> str:
        """Fingerprint of all that an input's folder depends on but the content."""
        from avaffect.challenge.places import joined
        from avaffect.config import fingerprint
        from avaffect.preprocessing.sound_file import settings_key

        return fingerprint([settings_key(self.config), joined(self.names[item.source])])
