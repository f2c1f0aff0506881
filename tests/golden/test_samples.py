"""The sample clips are predicted as they were: any change is made on purpose (`make goldens`)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

from fixtures.videos import Batch
from golden.figures import GOLDEN, VALUE, differences, figures

from avaffect.config import PredictConfig
from avaffect.predicting.batch import PredictBatch
from avaffect.predicting.settings import with_features


def test_predictions_are_as_they_were(samples: Batch) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert differences(figures(samples.root), golden) == []


def test_what_changes_is_told() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert differences(golden, golden) == []
    for change in ("rows", "present", "mean"):
        other = copy.deepcopy(golden)
        if change == "mean":
            other["one_person"]["mean"]["valence"] += 2 * VALUE
        else:
            other["one_person"][change] += 3
        (line,) = differences(other, golden)
        assert line.startswith(f"one_person {change}")
    assert differences({}, golden)


def test_a_clip_alone_is_as_among_others(
    sample: Callable[[str], Path], samples: Batch, tmp_path: Path
) -> None:
    """Nothing is kept from one clip to the next."""
    with PredictBatch(tmp_path, with_features(PredictConfig())) as batch:
        batch(sample("vfr_rotated.mov"))
    alone, among = figures(tmp_path), figures(samples.root)
    assert differences(alone, {"vfr_rotated": among["vfr_rotated"]}) == []
