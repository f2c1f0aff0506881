"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from avaffect.challenge.editions import DEFAULT_EDITION, EDITIONS
from avaffect.config import AnalysisConfig, FaceConfig, MediaConfig
from avaffect.converting.forms.registry import FORMS
from avaffect.errors import UnknownNameError, UsageError
from avaffect.files.names import DEFAULT_OUT
from avaffect.predicting.writers.registry import DEFAULT_FORM, WRITERS

if TYPE_CHECKING:
    from avaffect.training.run import DataConfig

F = TypeVar("F", bound=Callable[..., Any])
_FACES = FaceConfig()

# Tests hold these to the registries, whose modules would make `--help` slow.
DETECTORS = ("blazeface-full", "blazeface-back", "centerface", "s3fd")
FRAME_MODELS = ("starter-1-face", "fer", "enet_b0_8_va_mtl", "mobilevit_va_mtl", "mbf_va_mtl")
ENCODERS = ("efficientnet-lite0", "starter-2-face", *FRAME_MODELS)
DECIMALS = ("point", "comma")
CLOCKS = ("frame", "media")
POLICIES = ("linear", "nearest", "previous", "invalid")
FEATURES = ("auto", "light", "full")
ROTATIONS = ("auto", "0", "90", "180", "270")


class NameChoice(click.Choice[str]):
    """One of some names; another one is an error that suggests the nearest.

    Args:
        names: the names.
        kind: what is named, e.g. ``detector``.
    """

    def __init__(self, names: Iterable[str], kind: str) -> None:
        super().__init__(tuple(names))
        self._kind = kind

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.choices:
            raise UnknownNameError(self._kind, value, self.choices)
        return value


class DeviceName(click.ParamType):
    """The word for a device; whether there is one is for ``models.device`` to find out."""

    name = "device"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[auto|cpu|gpu|cuda:N]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from avaffect.models.device import require_device_word

        require_device_word(value)
        return value


def device_option(what: str) -> Callable[[F], F]:
    """On which processor ``what`` says that something is done."""
    return click.option(
        "--device",
        type=DeviceName(),
        default="auto",
        show_default=True,
        help=f"{what}: gpu (or cuda) is the first GPU, cuda:1 the second.",
    )


WRITTEN = {name: entry.about for name, entry in WRITERS.items()}
CONVERTED = {name: entry.about for name, entry in FORMS.items()}


def _stack(options: list[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def format_options(forms: Mapping[str, str]) -> Callable[[F], F]:
    """The form in which predictions are written, and tables beside it.

    Args:
        forms: what each is about, by name.
    """
    return _stack(
        [
            click.option(
                "--format",
                "form",
                type=NameChoice(forms, "format"),
                default=DEFAULT_FORM,
                show_default=True,
                help="; ".join(f"{name}: {about}" for name, about in forms.items()) + ".",
            ),
            click.option(
                "--csv/--no-csv",
                default=True,
                show_default=True,
                help="Write each table as CSV too, beside parquet.",
            ),
            click.option(
                "--decimal",
                type=NameChoice(DECIMALS, "way to write decimals"),
                default=DECIMALS[0],
                show_default=True,
                help="Decimals in CSV; with comma, semicolons separate the cells, as Excel wants "
                "it where one writes 0,5.",
            ),
        ]
    )


def scratch_option(function: F) -> F:
    """Where files from object stores are worked on."""
    return click.option(
        "--scratch",
        type=click.Path(file_okay=False),
        help="Folder on a local disk for files of object stores (s3://, gs://) while they are "
        "worked on.  [default: that for temporary files]",
    )(function)


def input_options(function: F) -> F:
    """Where to read and write."""
    return _stack(
        [
            click.option(
                "-o",
                "--out",
                type=click.Path(file_okay=False),
                default=DEFAULT_OUT,
                show_default=True,
                help="Output folder, or an address such as s3://BUCKET/NAME.",
            ),
            scratch_option,
            click.option("-r", "--recursive", is_flag=True, help="Look into folders of folders."),
        ]
    )(function)


def data_options(function: F) -> F:
    """Features and labels to train on; :func:`data_config` reads them."""
    return _stack(
        [
            click.option(
                "--data",
                multiple=True,
                metavar="[NAME=]DIR",
                help="Dataset in Aff-Wild2's layout: annotations of any edition; or, any number "
                "of times, a public set NAME of `avaffect data sets`.  [default: this folder]",
            ),
            click.option(
                "--features",
                multiple=True,
                metavar="[NAME=]DIR",
                help="What `avaffect preprocess` wrote, or a folder of tables; with --data, again "
                "for more tables, each an array NAME, or for the public set NAME.  "
                f"[default: {DEFAULT_OUT}]",
            ),
            click.option(
                "--labels",
                type=click.Path(),
                help="Own labels: a folder of CSV/parquet/npy files, or one table with a row a "
                "clip.",
            ),
            click.option(
                "--clips",
                type=click.Path(),
                help="Own table of clips: groups, stimuli, splits, folds.",
            ),
            click.option(
                "--column",
                "columns",
                multiple=True,
                metavar="KEY=NAME",
                help="Which column of own data is what, e.g. valence=rating, group=speaker, "
                "clip=path.",
            ),
            click.option(
                "--edition",
                type=NameChoice(list(EDITIONS), "edition"),
                default=DEFAULT_EDITION,
                show_default=True,
                help="Edition of the annotations.",
            ),
        ]
    )(function)


def data_config(options: dict[str, Any]) -> DataConfig:
    """What :func:`data_options` asked for.

    Raises:
        UsageError: options that exclude each other, or own labels without features.
    """
    from avaffect.datasets.sets.registry import named_data
    from avaffect.training.run import DataConfig

    own = options["labels"] is not None
    features: tuple[str, ...] = options["features"]
    data: tuple[str, ...] = options["data"]
    sets = tuple(text for text in data if named_data(text)[0])
    roots = [text for text in data if text not in sets]
    if own and data:
        raise UsageError("--data and --labels exclude each other", "leave one of them out")
    if len(roots) > 1:
        raise UsageError(
            f"'{roots[0]}' and '{roots[1]}' are both datasets in Aff-Wild2's layout",
            "give one of them; public sets are named, as --data affectnet=DIR",
        )
    if not own and not sets:
        roots = roots or ["."]
    if not features:
        if own:
            raise UsageError("own labels need --features", "name the folder of the features")
        features = (DEFAULT_OUT,) if roots else ("",)
    return DataConfig(
        features=features[0],
        further=features[1:],
        root=roots[0] if roots else None,
        labels=options["labels"],
        clips=options["clips"],
        columns=tuple(options["columns"]),
        edition=options["edition"],
        sets=sets,
    )


def drawn_subjects(function: F) -> F:
    """Who is drawn."""
    return click.option(
        "--subject",
        "subjects",
        multiple=True,
        metavar="NAME",
        help="Draw this subject only; give it again for another.  [default: all]",
    )(function)


def _untrusted(ctx: click.Context, option: click.Parameter, given: bool) -> None:
    """Say it to all that this process does and starts, see `media.apart`."""
    if given:
        os.environ["AVAFFECT_UNTRUSTED"] = "1"


def analysis_options(function: F) -> F:
    """How a video is decoded and its faces are found."""
    return _stack(
        [
            click.option(
                "--detector",
                type=NameChoice(DETECTORS, "detector"),
                default=_FACES.detector,
                show_default=True,
                help="Face detector; centerface is slower and finds more in crowds.",
            ),
            click.option(
                "--detect-every",
                type=click.IntRange(1),
                default=_FACES.detect_every,
                show_default=True,
                metavar="FRAMES",
                help="Look for new faces every so many frames.",
            ),
            click.option(
                "--fast",
                "looks",
                flag_value="few",
                help="Look at a followed face 5 times a second at least, and where it has changed "
                "a lot: about twice as fast.",
            ),
            click.option(
                "--every-frame",
                "looks",
                flag_value="every",
                help="Look at faces in every frame. Without these two: 10 times a second at "
                "least, and where a face has changed; what is between is put on a line.",
            ),
            click.option(
                "--max-faces",
                type=click.IntRange(1),
                default=_FACES.max_faces,
                show_default=True,
                metavar="N",
                help="Follow at most so many faces at a time, the largest.",
            ),
            click.option(
                "--aligner",
                type=NameChoice(["mesh", "fan"], "aligner"),
                default=_FACES.aligner,
                show_default=True,
                help="Source of the five alignment points; fan is the face-alignment package.",
            ),
            click.option(
                "--subjects",
                type=NameChoice(["main", "all"], "choice of subjects"),
                default=_FACES.subjects,
                show_default=True,
                help="main: one person, or two as _left and _right, of more the one seen most; "
                "all: everyone.",
            ),
            click.option(
                "--video-stream",
                type=click.IntRange(0),
                metavar="N",
                help="The N-th video stream, from 0.  [default: the file's default]",
            ),
            click.option(
                "--audio-stream",
                type=click.IntRange(0),
                metavar="N",
                help="The N-th audio stream, from 0.  [default: the file's default, or the first "
                "that is not mute]",
            ),
            click.option(
                "--channel",
                type=click.IntRange(0),
                metavar="N",
                help="The N-th channel of the sound alone, from 0.  [default: all are mixed, or "
                "the loudest is taken where they cancel each other]",
            ),
            click.option(
                "--fps",
                type=click.FloatRange(0, 1000, min_open=True),
                metavar="N",
                help="Frames a second of a file without times, such as a bare .h264.  "
                "[default: what the file says, else 25]",
            ),
            click.option(
                "--rotate",
                type=NameChoice(ROTATIONS, "turn"),
                default="auto",
                show_default=True,
                help="Turn the stored picture so many degrees clockwise, whatever the file says; "
                "auto obeys the file.",
            ),
            device_option("Where the nets that look at faces run"),
            click.option(
                "--no-nc",
                is_flag=True,
                help="Use no net whose licence forbids commercial use, as the default face and "
                "voice nets; what is left are rules over blendshapes.",
            ),
            click.option("--offline", is_flag=True, help="Never fetch weights."),
            click.option(
                "--untrusted",
                is_flag=True,
                expose_value=False,
                callback=_untrusted,
                help="Decode in processes of their own, with limits: a file made to do harm ends "
                "them and nothing else. Costs a few seconds a file.",
            ),
            click.option("-q", "--quiet", is_flag=True, help="Print errors only."),
        ]
    )(function)


def analysis_config(options: dict[str, Any], **changes: Any) -> AnalysisConfig:
    """The settings that :func:`analysis_options` asked for."""
    return AnalysisConfig(
        media=MediaConfig(
            video_stream=options["video_stream"],
            audio_stream=options["audio_stream"],
            channel=options["channel"],
            fps=options["fps"],
            rotate=None if options["rotate"] == "auto" else int(options["rotate"]),
        ),
        faces=FaceConfig(
            detector=options["detector"],
            detect_every=options["detect_every"],
            max_faces=options["max_faces"],
            aligner=options["aligner"],
            crop_size=options.get("crop_size", _FACES.crop_size),
            subjects=options["subjects"],
            looks=options["looks"] or _FACES.looks,
        ),
        **changes,
    )
