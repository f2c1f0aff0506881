"""What is asked for becomes settings."""

import subprocess
import sys
from dataclasses import replace

import pytest

from avaffect.config import AnalysisConfig, PredictConfig
from avaffect.errors import UnknownNameError, UsageError
from avaffect.predicting import settings as choices
from avaffect.predicting.settings import parse_tasks, with_features


@pytest.mark.parametrize(
    ("given", "tasks"),
    [
        ("all", ("va", "expr", "au")),
        ("va", ("va",)),
        ("au, va", ("va", "au")),
        (["expr"], ("expr",)),
        (("au", "all"), ("va", "expr", "au")),
    ],
)
def test_parse_tasks(given, tasks) -> None:
    assert parse_tasks(given) == tasks


@pytest.mark.parametrize("given", ["", "vaa", "va,", [], ["all", "x"]])
def test_unknown_and_missing_tasks(given) -> None:
    with pytest.raises(UsageError):
        parse_tasks(given)


def test_choice_of_features() -> None:
    config = PredictConfig()
    auto = with_features(config, "auto").analysis
    assert (auto.encoders, auto.audio) == (("starter-2-face",), None)
    assert auto.voice == "starter-2-voice"
    assert with_features(config, "light").analysis == auto
    full = with_features(config, "full").analysis
    assert full.encoders == ("efficientnet-lite0", "starter-2-face")
    assert (full.audio, full.voice) == (config.analysis.audio, auto.voice)
    deaf = with_features(replace(config, noncommercial=False)).analysis
    assert (deaf.encoders, deaf.voice) == ((), None)
    other = with_features(replace(config, frame_model="fer")).analysis
    # Through another net it is starter-1, with its own voice net.
    assert (other.encoders, other.voice) == (("fer",), "starter-1-voice")
    with pytest.raises(UnknownNameError, match="did you mean 'full'"):
        with_features(config, "ful")


def test_more_features_leave_out_nothing_that_was_asked_for() -> None:
    asked = AnalysisConfig(encoders=("fer",), voice="starter-2-voice")
    more = with_features(PredictConfig(frame_model="fer", analysis=asked), "more").analysis
    assert more == asked
    plain = PredictConfig(analysis=AnalysisConfig(encoders=("fer",), audio=None))
    more = with_features(plain, "more").analysis
    assert more.encoders == ("fer", "starter-2-face")
    assert (more.audio, more.voice) == (None, "starter-2-voice")


def test_light_refuses_a_model_that_reads_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deep:
        name = "deep"
        needs = ("face_pose", "efficientnet-lite0")

    monkeypatch.setattr(choices, "facts_of", lambda config: Deep())
    with pytest.raises(UsageError, match="reads deep embeddings"):
        with_features(PredictConfig(), "light")
    assert with_features(PredictConfig()).analysis.encoders == ("efficientnet-lite0",)


def test_the_built_in_models_need_no_torch() -> None:
    script = (
        "import sys; from avaffect.config import PredictConfig; "
        "from avaffect.predicting.batch import PredictBatch; "
        "from avaffect.predicting.settings import with_features; "
        "with_features(PredictConfig()); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_a_start_loads_nothing_that_most_runs_do_without() -> None:
    """Each of these takes longer to load than a second of video to predict."""
    without = ("http.client", "avaffect.recipes.encoders", "avaffect.datasets.tables")
    code = (
        "import sys, avaffect.predicting.batch, avaffect.reporting.closing\n"
        f"print([name for name in {without!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
