import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avaffect.predictions.prediction import EXPRESSIONS
from avaffect.predictions.valence_arousal import COEFFICIENTS, FEATURES, va_from_expression

ROOT = Path(__file__).parents[2]
CODES = ("Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Contempt", "Neutral")


def sure(name: str) -> np.ndarray:
    """Valence and arousal of a face that is nothing but this."""
    return va_from_expression(np.eye(8)[[EXPRESSIONS.index(name)]])[0]


def test_expressions_lie_where_people_put_them() -> None:
    for name in ("Anger", "Disgust", "Fear", "Sadness"):
        assert sure(name)[0] < -0.4
    assert sure("Happiness")[0] > 0.35
    assert abs(sure("Neutral")[0]) < 0.1
    # Anger, fear and surprise rouse, a calm face does not.
    assert min(sure(n)[1] for n in ("Anger", "Fear", "Surprise")) > 0.3
    assert sure("Neutral")[1] < -0.3
    assert np.abs(sure("Other")).max() < 0.3


def test_more_smile_is_more_valence() -> None:
    share = np.linspace(0, 1, 20)
    p = np.zeros((20, 8))
    p[:, 0], p[:, 4] = 1 - share, share
    assert (np.diff(va_from_expression(p)[:, 0]) > 0).all()


def test_range_type_and_missing_rows() -> None:
    p = np.random.default_rng(0).dirichlet(np.full(8, 0.2), 2000)
    p[5] = np.nan
    va = va_from_expression(p)
    assert va.dtype == np.float32
    assert va.shape == (2000, 2)
    assert np.isnan(va[5]).all()
    assert np.isfinite(np.delete(va, 5, axis=0)).all()
    assert np.nanmax(np.abs(va)) <= 1
    assert va_from_expression(np.zeros((0, 8))).shape == (0, 2)
    with pytest.raises(ValueError, match="probabilities has shape"):
        va_from_expression(np.zeros((3, 7)))


def test_file_says_how_good_it_is() -> None:
    facts = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    assert facts["pictures"] == 1600
    assert facts["raters_per_picture"] == 25
    held_out = facts["error"]["10 folds by picture"]
    assert 0 < held_out["valence"]["rmse"] < held_out["arousal"]["rmse"] < 0.25
    assert "AffectNet" in facts["source"]
    assert set(facts["coefficients"]["arousal"]) == set(FEATURES)
    assert set(facts["coefficients"]["valence"]) == set(EXPRESSIONS)


def test_fit_recovers_a_known_rule(tmp_path: Path) -> None:
    """Ratings made up from a rule: 200 pictures, 6 raters, scores that follow the votes."""
    rng = np.random.default_rng(0)
    valence = {"Happiness": 0.5, "Sadness": -0.5, "Surprise": 0.1, "Fear": -0.7, "Disgust": -0.6}
    valence |= {"Anger": -0.4, "Contempt": 0.0, "Neutral": 0.0}
    for number in (1, 2):
        codes = rng.choice(8, (100, 6), p=[0.2, 0.1, 0.15, 0.15, 0.1, 0.1, 0, 0.2])
        score = np.vectorize(lambda code: valence[CODES[code]])(codes)
        scores = {"expression": codes, "valence": score, "arousal": score / 2}
        for kind, table in scores.items():
            raters = ",".join(f"participant{i}" for i in range(6))
            lines = [f"index,filename,{raters}"]
            lines += [f"{i},{i}.jpg," + ",".join(map(str, row)) for i, row in enumerate(table)]
            (tmp_path / f"{kind}_set{number}_C25.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "fit.json"
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "training/fit_starter_va.py"),
            *("--ratings", str(tmp_path), "--out", str(out)),
        ],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    facts = json.loads(out.read_text())
    assert facts["pictures"] == 200
    assert facts["error"]["10 folds by picture"]["valence"]["rmse"] < 1e-3
    for name in ("Happiness", "Sadness", "Fear"):
        assert facts["coefficients"]["valence"][name] == pytest.approx(valence[name], abs=1e-4)
        assert facts["coefficients"]["arousal"][name] == pytest.approx(valence[name] / 2, abs=1e-4)
