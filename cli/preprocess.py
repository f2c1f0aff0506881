"""``avaffect preprocess``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click

from avaffect.cli.options import (
    ENCODERS,
    NameChoice,
    analysis_config,
    analysis_options,
    input_options,
)
from avaffect.config import AnalysisConfig, FaceConfig


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
    audio.wav and features/; a folder without a video stands for its sound files.

    \b
    Examples:
      avaffect preprocess video.mp4
      avaffect preprocess video.mp4 -o out/ --subjects all
      avaffect preprocess "clips/*.mp4" more_clips/ --recursive -o out/
      avaffect preprocess voices/ -o out/ --sound-rate 50
    """
    from avaffect.challenge.places import joined
    from avaffect.cli.terminal import Reporter, Row, run_all
    from avaffect.config import AudioConfig, PredictConfig
    from avaffect.media.inputs import expand_inputs
    from avaffect.models.device import choose_device
    from avaffect.predicting.settings import require_licences, with_features
    from avaffect.preprocessing.names import names_of
    from avaffect.preprocessing.run import NetsLoader
    from avaffect.preprocessing.run import preprocess as run
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
    reporter = Reporter(options["quiet"])
    videos = expand_inputs(inputs, recursive, sound=True, on_event=reporter)
    names = names_of(videos, inputs)
    device = choose_device(options["device"])
    nets = NetsLoader(config, device.name)
    with reporter:
        reporter.say(f"device: {device.description}")

        def work(video: Path) -> Row:
            target = Path(out) / names[video] if len(videos) > 1 else Path(out)
            name = joined(names[video])
            done = run(video, target, config, nets=nets, name=name, on_event=reporter)
            outcome = f"{', '.join(done.done) or 'nothing to do'} in {target}"
            if done.sound_only:
                return Row(video.name, f"ok ({outcome})", str(done.frames))
            return Row.done(
                video, done.frames, done.faces, done.subjects, outcome, rotate=done.rotate
            )

        ctx.exit(run_all(videos, work, reporter, names, debug=ctx.obj))
