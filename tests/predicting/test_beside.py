import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avaffect import predict
from avaffect.config import PredictConfig
from avaffect.media.source import open_source
from avaffect.predicting.batch import PredictBatch
from avaffect.predicting.beside import places, prepared_beside
from avaffect.predicting.settings import with_features
from avaffect.preprocessing.run import Preprocessed
from avaffect.progress import Notice
from avaffect.store.prepared import Prepared

CONFIG = with_features(PredictConfig(), "auto")
READ = "was preprocessed: "


@pytest.fixture
def video(gap_clip: Path, heard: Preprocessed, tmp_path: Path) -> Path:
    """The gap clip beside ``avaffect_out``, the folder that `preprocess` made of it."""
    shutil.copytree(heard.folder.root, tmp_path / "avaffect_out")
    return Path(shutil.copy(gap_clip, tmp_path))


@pytest.fixture
def no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The video itself is not gone through."""

    def refuse(*args, **kwargs):
        raise AssertionError("a pass over the video")

    monkeypatch.setattr("avaffect.predicting.run.analyse", refuse)


def found(video: Path, out: Path | None = None, config=CONFIG):
    source = open_source(video, config.analysis.media)
    return prepared_beside(source, config.analysis, places(video, out))


def test_what_was_preprocessed_is_read_and_said(video: Path, no_pass, heard: Preprocessed) -> None:
    told = []
    result = predict(video, task="va", on_event=told.append)
    folder = predict(heard.folder.root, task="va")
    np.testing.assert_array_equal(result["gap"].va, folder["gap"].va)
    assert result.source == video
    assert result.about["frames"] == len(result["gap"])
    (notice,) = [each.text for each in told if isinstance(each, Notice)]
    assert notice == f"'gap.mp4' {READ}'{video.parent / 'avaffect_out'}' is read instead"


def test_into_the_folder_that_preprocess_wrote(video: Path, no_pass, tmp_path: Path) -> None:
    out = (tmp_path / "avaffect_out").rename(tmp_path / "out")
    with PredictBatch(out, CONFIG) as batch:
        assert batch(video).found
        assert batch(video).again
    record = json.loads((out / "records/gap.json").read_text())
    assert record["video"]["name"] == "gap.mp4"
    assert record["people"]["looks"]["held"] > 0


def test_in_a_folder_of_its_own_below_the_output(video: Path, tmp_path: Path) -> None:
    (tmp_path / "avaffect_out").rename(tmp_path / "gap")
    assert found(video, tmp_path) == Prepared(tmp_path / "gap")
    assert found(video) is None


@pytest.mark.parametrize("change", ["video", "settings", "name", "array", "record", "table"])
def test_what_is_not_the_same_is_not_read(change: str, video: Path) -> None:
    config, root = CONFIG, video.parent / "avaffect_out"
    assert found(video) == Prepared(root)
    if change == "video":
        video.write_bytes(video.read_bytes() + bytes(8))
    elif change == "settings":
        faces = replace(CONFIG.analysis.faces, detect_every=7)
        config = replace(CONFIG, analysis=replace(CONFIG.analysis, faces=faces))
    elif change == "name":
        Prepared(root).update(name="other")
    elif change == "array":
        next((root / "features/gap").glob("starter-2-face-*.npy")).unlink()
    elif change == "record":
        (root / "preprocess.json").write_text("{")
    else:
        (root / "features/gap/frames.parquet").write_bytes(b"")
    assert found(video, config=config) is None
