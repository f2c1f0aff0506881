from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

import pytest

from avaffect.cli.batch import Predicting
from avaffect.config import PredictConfig
from avaffect.engines.item import Item
from avaffect.engines.processes import in_processes
from avaffect.predicting.settings import with_features


def test_two_jobs_write_what_one_does(run, clip: Path, files, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "clip.mp4").write_bytes(clip.read_bytes())
    ways = {}
    for jobs in (1, 2):
        out = tmp_path / f"{jobs}/out"
        options = ("--recursive", "--task", "va", "--no-nc", "--jobs", jobs)
        outcome = run("predict", folder, "-o", out, *options)
        assert outcome.code == 0, outcome.err
        ways[jobs] = (files(out), outcome.out)
    assert ways[1][0].keys() == ways[2][0].keys()
    assert ways[1][0] == ways[2][0]
    assert ways[1][1] == ways[2][1].replace("/2/out", "/1/out")


def test_a_file_for_all_inputs_is_written_by_one(run, clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    given = ("--format", "single", "--task", "va", "--edition", "abaw8", "--jobs", 2)
    outcome = run("predict", clip, other, "-o", tmp_path / "out", *given)
    assert outcome.code == 2
    assert "leave out --jobs and --engine, or --format single" in outcome.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--engine", "ray", "--jobs", 2), "leave out --jobs"),
        (("--cpus", 2), "--cpus is of --engine ray"),
        (("--engine", "spark"), "no engine is called 'spark'"),
        (("--segment", 5), "give --jobs N"),
    ],
)
def test_options_of_the_other_engine_are_refused(run, clip, tmp_path, given, said) -> None:
    outcome = run("preprocess", clip, "-o", tmp_path / "out", *given)
    assert outcome.code == 2
    assert said in outcome.error
    assert not (tmp_path / "out").exists()


@dataclass(frozen=True)
class Cutting(Predicting):
    """Cuts at 0.24 s, for which `--segment` has no words."""

    seconds: float | None = 0.24


def test_segments_of_a_video_are_predicted_at_once(clip: Path, tmp_path: Path) -> None:
    config = with_features(PredictConfig(tasks=("va",), noncommercial=False))
    options = {"form": "files", "edition": "abaw8"}
    job = Cutting(config, "cpu", {str(clip): PurePath("face")}, options)
    (outcome,) = in_processes([Item(str(clip), str(tmp_path))], job, 2)
    assert outcome.error is None
    assert outcome.result is not None
    assert (outcome.result.frames, outcome.result.faces) == ("12", "12")
    # Nothing is left of the segments.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "VA_Estimation_Challenge",
        "records",
        "tables",
    ]
    (again,) = in_processes([Item(str(clip), str(tmp_path))], job, 2)
    assert again.result is not None
    assert again.result.again
