"""Every command that writes, with inputs so small that a run takes a second."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from faults.files import content
from faults.forks import Fault, Forks, Run

from avaffect.media.ffmpeg import ffmpeg_binary

_SAMPLES = Path(__file__).parents[2] / "sample_media"
_SMALL = """
name: small
branches:
  table: {features: [table], layers: [{kind: mlp, units: [4]}]}
tasks: {va: {terms: {ccc: 1}}}
window: {length: 10, overlap: 0}
train: {epochs: 3, batch_size: 8, lr: 0.01}
"""
_PAIR = """
members:
  - {name: one, recipe: small.yaml}
  - {name: two, recipe: small.yaml, change: {train.lr: 0.1}}
join: {kind: average, weights: [1, 3]}
"""
_DATA = ("--features", "features", "--labels", "labels", "--clips", "clips.csv",
         "--column", "valence=v", "--column", "arousal=r", "--column", "clip=clip",
         "--column", "group=person", "--column", "split=part", "--device", "cpu")  # fmt: skip
_CLIPS = 8
_CACHE = {"AVAFFECT_CACHE": "cache"}


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        words: arguments, relative to the folder in which it runs.
        inputs: what it needs there, see :class:`Inputs`.
        out: what it writes, a file or folder.
        foreign: files of the user's own, in the midst of the outputs.
        settings: environment variables.
        resumes: a file that shows that there is something to go on with by `train --resume`.
        children: it starts processes of its own, which are no forks.
    """

    words: tuple[str, ...]
    inputs: tuple[str, ...]
    out: str = "out"
    foreign: tuple[str, ...] = ("out/mine.txt",)
    settings: dict[str, str] = field(default_factory=dict)
    resumes: str = ""
    children: bool = False


COMMANDS: dict[str, Command] = {
    "preprocess": Command(
        ("preprocess", "face.mp4", "-o", "out", "--encoder", "starter-2-face"),
        ("face.mp4",),
        foreign=("out/mine.txt", "out/features/mine.csv", "out/cropped_aligned/mine.jpg"),
    ),
    "preprocess two": Command(
        ("preprocess", "clips", "-o", "out", "--encoder", "starter-2-face", "--no-voice"),
        ("clips",),
    ),
    "preprocess sound": Command(("preprocess", "voice.wav", "-o", "out"), ("voice.wav",)),
    "preprocess again": Command(
        ("preprocess", "face.mp4", "-o", "prepared", "--crop-size", "96", "--encoder",
         "starter-1-face"),
        ("face.mp4", "prepared"), "prepared", ("prepared/mine.txt",),
    ),
    "predict": Command(
        ("predict", "face.mp4", "-o", "out"), ("face.mp4",),
        foreign=("out/mine.txt", "out/tables/mine.csv", "out/VA_Set/mine.txt"),
    ),
    "predict single": Command(
        ("predict", "clips", "-o", "out", "--format", "single"), ("clips",)
    ),
    "predict full": Command(
        ("predict", "face.mp4", "-o", "out", "--features", "full"), ("face.mp4",)
    ),
    "predict pictures": Command(("predict", "photos", "-o", "out"), ("photos",)),
    "predict again": Command(
        ("predict", "face.mp4", "-o", "predicted", "--overwrite", "--smooth", "off",
         "--format", "eaf"),
        ("face.mp4", "predicted"), "predicted", ("predicted/mine.txt",),
    ),
    "features": Command(
        ("features", "prepared", "--from", "mine", "--name", "mine"),
        ("prepared", "mine"), "prepared", ("prepared/features/mine.csv",),
    ),
    "train": Command(
        ("train", *_DATA, "--recipe", "small.yaml", "-o", "out"), ("tables",),
        resumes="out/last/state.pt",
    ),
    "train folds": Command(
        ("train", *_DATA, "--recipe", "small.yaml", "-o", "out", "--folds", "2",
         "--set", "train.epochs=1"),
        ("tables",), resumes="out/fold-0/last/state.pt",
    ),
    "ensemble": Command(
        ("ensemble", *_DATA, "--recipe", "pair.yaml", "-o", "out", "--yes", "--jobs", "2",
         "--set", "train.epochs=1"),
        ("tables",), children=True,
    ),
    "tune": Command(("tune", "run"), ("run",), "run", ("run/mine.txt",)),
    "blend": Command(
        ("blend", "predicted", "other", "-o", "out", "--smooth", "box:0.2"),
        ("predicted", "other"),
    ),
    "export": Command(
        ("export", "run", "-o", "out/model.onnx"), ("run",), foreign=("out/mine.txt",)
    ),
    "render": Command(
        ("render", "face.mp4", "predicted", "-o", "out/drawn.mp4"), ("face.mp4", "predicted")
    ),
    "plot": Command(("plot", "predicted", "-o", "out/figure.png"), ("predicted",)),
    "report": Command(
        ("report", "predicted", "--video", "face.mp4", "--embed", "-o", "out/page.html"),
        ("predicted", "face.mp4"),
    ),
    "report of two": Command(
        ("report", "two", "-o", "out/page.html"), ("two",)
    ),
    **{
        f"convert {form}": Command(
            ("convert", "predicted", "--format", form, "-o", "out"), ("predicted",)
        )
        for form in ("csv", "eaf", "bids", "nova", "openface")
    },
    "submit": Command(("submit", "predicted", "-t", "va", "-o", "out/va.zip"), ("predicted",)),
    "evaluate": Command(
        ("evaluate", "predicted", "predicted", "-t", "va", "--json", "out/scores.json",
         "--plot", "out/scores.png"),
        ("predicted",),
    ),
    "data synth": Command(
        ("data", "synth", "out", "--videos", "2", "--seconds", "2"), (), foreign=()
    ),
    "models fetch": Command(
        ("models", "fetch", "blazeface-full", "silero-vad"), ("weights",), "cache",
        ("cache/mine.txt",), {**_CACHE, "AVAFFECT_MODEL_MIRROR": "weights"},
    ),
    "models import": Command(
        ("models", "import", "weights"), ("weights",), "cache", ("cache/mine.txt",), _CACHE
    ),
    "models export": Command(
        ("models", "export", "out", "blazeface-full", "silero-vad"), ("weights",), "out",
        ("out/mine.txt",), {**_CACHE, "AVAFFECT_MODEL_MIRROR": "weights"},
    ),
}  # fmt: skip


class Inputs:
    """What commands read, made at its first use.

    Args:
        root: an empty folder.
        forks: runs commands.
    """

    def __init__(self, root: Path, forks: Forks) -> None:
        self._root, self._forks = root, forks
        # By name, how it is made in the folder given.
        self._makers: dict[str, Callable[[Path], None]] = {
            "face.mp4": lambda place: self._film(place / "face.mp4", 0),
            "clips": lambda place: [
                self._film(place / "clips" / f"{name}.mp4", at) for at, name in enumerate("ab")
            ],
            "voice.wav": lambda place: self._ffmpeg("-vn", "-t", 1.5, place / "voice.wav"),
            "photos": self._photos,
            "prepared": lambda place: self._run(
                place, "preprocess", "face.mp4", "-o", "prepared", "--no-voice",
                needs=("face.mp4",),
            ),
            "mine": self._own,
            "predicted": lambda place: self._run(
                place, "predict", "face.mp4", "-o", "predicted", needs=("face.mp4",)
            ),
            "other": lambda place: self._run(
                place, "predict", "face.mp4", "-o", "other", "--fast", needs=("face.mp4",)
            ),
            "two": lambda place: self._run(
                place, "predict", "clips", "-o", "two", needs=("clips",)
            ),
            "tables": self._tables,
            "run": lambda place: self._run(
                place, "train", *_DATA, "--recipe", "small.yaml", "-o", "run", "--set",
                "train.epochs=1", needs=("tables",),
            ),
            "weights": lambda place: self._run(
                place, "models", "export", "weights", "blazeface-full", "silero-vad"
            ),
        }  # fmt: skip

    def place(self, names: tuple[str, ...], folder: Path) -> None:
        """Copy inputs into ``folder``."""
        for name in names:
            shutil.copytree(self._get(name), folder, dirs_exist_ok=True)

    def _get(self, name: str) -> Path:
        place = self._root / name.replace(".", "_")
        if not place.exists():
            place.mkdir(parents=True)
            self._makers[name](place)
        return place

    def _run(self, place: Path, *words: str, needs: tuple[str, ...] = ()) -> None:
        work = place.with_name(f"{place.name}-made")
        work.mkdir()
        self.place(needs, work)
        done = self._forks.run([*words], work)
        if done.code:
            raise RuntimeError(f"{' '.join(words)}: {done.err}")
        name = place.name
        shutil.move(work / name, place / name)

    def _film(self, path: Path, second: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._ffmpeg("-vf", "scale=200:200", "-frames:v", 12, "-t", 12 / 25, "-crf", 16, path,
                     start=second)  # fmt: skip

    def _photos(self, place: Path) -> None:
        (place / "photos").mkdir()
        self._ffmpeg("-frames:v", 2, "-vf", "scale=200:200", place / "photos" / "%d.jpg")

    def _ffmpeg(self, *options: object, start: int = 0) -> None:
        source = ["-ss", start, "-i", _SAMPLES / "one_person.mp4"]
        command = [ffmpeg_binary(), "-v", "error", "-y", *source, *options]
        subprocess.run([*map(str, command)], check=True, stdin=subprocess.DEVNULL)

    def _own(self, place: Path) -> None:
        (place / "mine").mkdir()
        np.save(place / "mine/face.npy", np.arange(36, dtype=np.float32).reshape(12, 3))

    def _tables(self, place: Path) -> None:
        rng = np.random.default_rng(0)
        facts = ["clip,person,part"]
        for folder in ("features", "labels"):
            (place / folder).mkdir()
        for clip in range(_CLIPS):
            x = rng.normal(size=(24 + clip, 3))
            for folder, names, rows in (
                ("features", "a,b,c", x), ("labels", "v,r", np.tanh(x[:, :2])),
            ):  # fmt: skip
                text = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
                path = place / folder / f"clip{clip}.csv"
                path.write_text(f"{names}\n{text}\n", encoding="utf-8")
            facts.append(f"clip{clip},p{clip},{'val' if clip >= 6 else 'train'}")
        (place / "clips.csv").write_text("\n".join([*facts, ""]), encoding="utf-8")
        (place / "small.yaml").write_text(_SMALL, encoding="utf-8")
        (place / "pair.yaml").write_text(_PAIR, encoding="utf-8")


class Sandbox:
    """A folder in which one command is run again and again, from the same beginning.

    Args:
        folder: where; always the same, so that paths in records are.
        command: which.
        inputs: what it reads.
        forks: runs it.
    """

    def __init__(self, folder: Path, command: Command, inputs: Inputs, forks: Forks) -> None:
        self.folder, self.command = folder, command
        self._inputs, self._forks = inputs, forks

    def begin(self, folder: Path | None = None) -> None:
        """Bring everything to where it was at the beginning; ``folder``: below another path."""
        if folder is None:
            folder = self.folder
            shutil.rmtree(folder, ignore_errors=True)
        (folder / "tmp").mkdir(parents=True)
        self._inputs.place(self.command.inputs, folder)
        for name in self.command.foreign:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("the user's own\n", encoding="utf-8")

    @property
    def out(self) -> Path:
        """What the command writes."""
        return self.folder / self.command.out

    def run(self, fault: Fault | None = None, *more: str, stdout: str = "") -> Run:
        """Run the command, as it is to be run at this moment."""
        words = self.command.words
        if self.command.resumes and (self.folder / self.command.resumes).exists():
            words = ("train", "--resume", "-o", "out", "--device", "cpu")
        settings = {"TMPDIR": str(self.folder / "tmp"), "AVAFFECT_OFFLINE": "1"}
        if "AVAFFECT_MODEL_MIRROR" in self.command.settings:
            settings["AVAFFECT_OFFLINE"] = ""
        own = {name: str(self.folder / value) for name, value in self.command.settings.items()}
        return self._forks.run([*words, *more], self.folder, fault, settings | own, stdout)

    @cached_property
    def whole(self) -> dict[str, bytes]:
        """All files behind a run that nobody disturbed, see `files.content`."""
        self.begin()
        done = self.run()
        if done.code:
            raise RuntimeError(f"{' '.join(self.command.words)}: {done.err}")
        self.steps, self.seconds = done.steps, done.seconds
        return content(self.folder)
