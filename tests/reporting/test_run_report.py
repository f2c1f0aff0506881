"""The page of a run: what it says, and that nothing in it runs or is loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from fixtures.prepared import make_prepared

from avaffect.errors import ForeignFileError, InputNotFoundError, UsageError
from avaffect.files.hashing import file_sha256
from avaffect.files.table import write_table
from avaffect.metrics.scores import ccc
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.predictions.postprocess import Postprocess
from avaffect.recipes.library import parse_recipe
from avaffect.reporting.run_report import report_run
from avaffect.reporting.trained import TrainedRun, read_log
from avaffect.store.record import Video

HOSTILE = "</script><img src=x onerror=alert(1)>"
TARGETS = {"va": ("valence", "arousal"), "expr": ("calm", HOSTILE), "au": ("AU1",)}
LOSSES = {"va": {"mse": 1}, "expr": {"cross_entropy": 1}, "au": {"bce": 1}}
FRAMES = 40


def write_network(folder: Path, **data: Any) -> None:
    branch = {"modality": "video", "features": ["x"], "layers": [{"kind": "gru"}]}
    tasks = {task: {"terms": LOSSES[task]} for task in TARGETS}
    recipe = parse_recipe({"name": HOSTILE, "branches": {"face": branch}, "tasks": tasks}, "")
    made = Checkpoint(recipe, TARGETS, {"face": 4}, epoch=2, data=data)
    torch.manual_seed(0)
    save_checkpoint(folder, made, made.build())


def write_clip(run: Path, name: str, noise: float, group: str | None = None) -> None:
    """A validation table."""
    rng = np.random.default_rng(len(name))
    truth = np.sin(np.arange(FRAMES) / 7)[:, None] * [1.0, 0.5]
    values = np.clip(truth + noise * rng.normal(size=truth.shape), -1, 1)
    classes, units = (truth[:, 0] > 0).astype(int), (truth[:, 1] > 0).astype(np.int8)
    wrong = noise > 0.3
    table = {
        "frame": np.arange(1, FRAMES + 1),
        "time": np.arange(FRAMES) / 25,
        "valence": values[:, 0].astype(np.float32),
        "arousal": values[:, 1].astype(np.float32),
        "label_valence": truth[:, 0].astype(np.float32),
        "label_arousal": truth[:, 1].astype(np.float32),
        "p_calm": np.where(classes == wrong, 0.9, 0.1).astype(np.float32),
        f"p_{HOSTILE}": np.where(classes == wrong, 0.1, 0.9).astype(np.float32),
        "label_expression": classes,
        "AU1_p": units.astype(np.float32),
        "label_AU1": units,
    }
    path = run / f"validation/tables/{name}.parquet"
    about = {"clip": name, "group": group or name}
    write_table(path, table, about)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run: three videos of four people, one of which is trained on too."""
    root = tmp_path / "a run"
    write_network(root / "best", clips={"train": ["b_left", "x"], "val": ["a", "c"]})
    for name, noise, group in (("a", 0.1, "a"), ("b_left", 0.2, "b"), ("b_right", 0, "b")):
        write_clip(root, name, noise, group)
    write_clip(root, "worst", 0.9)
    epochs = [
        {"epoch": at, "losses": {"loss": 1 / at}, "scores": {"score": at / 3}} for at in (1, 2)
    ]
    (root / "log.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    return root


def test_the_page_says_what_the_run_is_worth(run: Path) -> None:
    done = report_run(run)
    assert done.path == run / "report.html"
    assert (done.clips, done.videos, done.pictured) == (4, 3, 0)
    text = done.path.read_text("utf-8")
    read = TrainedRun.read(run)
    scored = {each.task: each for each in read.scored()}
    every = np.concatenate(
        [np.stack([clip.values["va"][:, 0], clip.labels["va"][:, 0]]) for clip in read.clips], 1
    )
    assert scored["va"].parts["CCC valence"] == pytest.approx(ccc(*every), abs=1e-9)
    assert f"CCC valence {ccc(*every):.3f}" in text
    assert "3 videos, fewer than 10 say too little" in text
    # The worst stands first, in the table and among the clips.
    assert read.videos()[0].name == read.worst(2)[0].name == "worst"
    assert text.index("worst <small>") < text.index("b_left <small>")
    # Both people of the video are known from training, the other two from the choice of an epoch.
    assert read.known() == {"trained": ["b_left", "b_right"], "validated": ["a"]}
    assert "2 of 4 validation clips are clips that were trained on: their score is no test" in text
    assert 'class="losses" points="0.0,0.0 600.0,120.0"' in text


def test_nothing_of_a_run_becomes_part_of_the_page(run: Path) -> None:
    write_clip(run, "c", 0.1, HOSTILE)
    text = report_run(run).path.read_text("utf-8")
    assert "onerror" in text
    assert HOSTILE not in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "default-src &#39;none&#39;" in text


def test_what_was_tuned_is_told_with_both_figures(run: Path) -> None:
    steps = [
        {"task": "va", "what": "smoothing", "without": 0.1, "optimistic": 0.31,
         "cross_validated": 0.211, "kept": True},
        "odd",
    ]  # fmt: skip
    Postprocess("va=box:0.4", {"AU1": 0.3}, "w", {"steps": steps}).save(run / "best")
    text = report_run(run).path.read_text("utf-8")
    assert "Smoothing va=box:0.4, thresholds of 1 units" in text
    assert "<td>0.310</td><td>0.211</td><td>yes</td>" in text


def test_folds_have_a_line_each_and_ask_the_network_that_held_a_clip_out(tmp_path: Path) -> None:
    root = tmp_path / "folds"
    for fold, (mine, other) in enumerate((("a", "b"), ("b", "a"))):
        write_network(root / f"fold-{fold}/best", clips={"train": [other], "val": []})
        write_clip(root / f"fold-{fold}", mine, 0.1)
        (root / f"fold-{fold}/log.jsonl").write_text('{"losses": {"loss": 1}}\nbroken\n')
    (root / "run.json").write_text("{}")
    assert TrainedRun.read(root).known() == {}
    text = report_run(root).path.read_text("utf-8")
    assert "2 networks" in text
    assert text.count('class="thin"') == 2


@pytest.mark.parametrize(
    "content", [b"", b"\xff\n", b"[1]\n", b'{"losses": 3}\n', b'{"losses": {"loss": "x"}}\n']
)
def test_a_damaged_log_leaves_the_curves_out(run: Path, content: bytes) -> None:
    (run / "log.jsonl").write_bytes(content)
    assert "Learning curves" not in report_run(run).path.read_text("utf-8")
    assert read_log(run / "nowhere") == []


def test_what_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match=r"no (validation tables|checkpoint)"):
        report_run(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="ending"):
        report_run(run, tmp_path / "page.pdf")
    mine = tmp_path / "mine.html"
    mine.write_text("<p>")
    with pytest.raises(ForeignFileError):
        report_run(run, mine, overwrite=True)
    page = report_run(run, tmp_path / "page.html").path
    with pytest.raises(UsageError, match="there already"):
        report_run(run, page)
    report_run(run, page, overwrite=True)


def test_faces_and_the_video_are_shown_where_they_are_at_hand(
    run: Path, tmp_path: Path, ffmpeg: Callable[..., None]
) -> None:
    """Of a clip that is called as a preprocessed subject; the video is told by its content."""
    features = tmp_path / "prepared"
    prepared = make_prepared(features / "worst", FRAMES)
    crops = prepared.crops("worst")
    crops.mkdir(parents=True)
    for frame in (1, 20, 40):
        cv2.imwrite(str(crops / f"{frame:05d}.jpg"), np.full((112, 112, 3), 90, np.uint8))
    (run / "run.json").write_text(json.dumps({"data": {"features": str(features)}}))
    text = report_run(run).path.read_text("utf-8")
    assert text.count('alt="Face of worst"') == 3
    assert "<video" not in text
    video = features / "worst.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=s=64x64:d=0.2", "-pix_fmt", "yuv420p", video)
    prepared.update(video=Video(name="worst.mp4", sha256=file_sha256(video)))
    done = report_run(run)
    text = done.path.read_text("utf-8")
    assert done.pictured == 1
    assert 'src="../prepared/worst.mp4"' in text
    # A folder of videos is named where they lie elsewhere; what is not there is told.
    (tmp_path / "videos").mkdir()
    video.rename(tmp_path / "videos/worst.mp4")
    page = report_run(run, videos=[tmp_path / "videos"]).path
    assert 'src="../videos/worst.mp4"' in page.read_text("utf-8")
    with pytest.raises(InputNotFoundError, match="nowhere"):
        report_run(run, videos=[tmp_path / "nowhere"])
    # Whoever names folders in a run's settings is not trusted: the page is whole without.
    for odd in (3, "nowhere", "\0", {"features": []}, {"features": "\0"}):
        (run / "run.json").write_text(json.dumps({"data": odd}))
        assert report_run(run).pictured == 0
