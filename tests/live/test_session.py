"""Frames in, predictions out: causal, in time, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avaffect import AnalysisConfig, FaceConfig, PredictConfig, predict_frames
from avaffect.errors import UsageError
from avaffect.live import session as module
from avaffect.live.session import FramePrediction, Session
from avaffect.preprocessing.nets import Nets
from avaffect.preprocessing.run import NetsLoader

Shots = list[tuple[NDArray[np.uint8], float]]
FACELESS = range(14, 24)
# Every face is looked at: what is held lies between looks in a file, and cannot here.
EVERY = PredictConfig(
    analysis=AnalysisConfig(
        audio=None, encoders=("starter-2-face",), faces=FaceConfig(looks="every")
    )
)


@pytest.fixture(autouse=True)
def loaded_once(nets: NetsLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = nets()
    monkeypatch.setattr(Nets, "load", lambda *args: loaded)


def played(session: Session, shots: Shots) -> list[FramePrediction]:
    found = [result for image, time in shots for result in session.push(image, time)]
    return found + session.flush()


def values(results: list[FramePrediction]) -> NDArray[np.float32]:
    return np.stack([np.concatenate([each.va, each.expr, each.au]) for each in results])


def test_each_frame_with_a_face_has_a_result_at_once(shots: Shots) -> None:
    with Session() as session:
        assert session.delay == 0
        for number, (image, time) in enumerate(shots):
            found = session.push(image, time)
            assert len(found) == (number not in FACELESS)
            for result in found:
                assert (result.frame, result.time, result.track) == (number, time, 1)
                assert result.va.shape == (2,)
                assert result.expr.sum() == pytest.approx(1, abs=1e-4)
                assert result.au.shape == (12,)
                assert 0 < result.confidence <= 1
                left, top, right, bottom = result.box
                assert 0 < left < right < 240
                assert 0 < top < bottom < 240
                assert result.expression is not None
                assert "person 1" in repr(result)
        # Who comes back is the same person.
        assert found[0].seen == len(shots) - len(FACELESS)


def test_what_follows_changes_nothing(shots: Shots) -> None:
    black = [(np.zeros_like(image), time) for image, time in shots]
    loud = np.sin(np.arange(8000)).astype(np.float32)
    first, other = Session(), Session()
    ours = played(first, shots[:10])
    theirs = played(other, shots[:10])
    other.push_sound(loud, 16_000)
    played(other, black[10:14])
    assert np.array_equal(values(ours), values(theirs))


def test_a_delay_is_kept_and_no_more(shots: Shots) -> None:
    with Session(delay=0.1) as session:
        for number, (image, time) in enumerate(shots[:14]):
            frames = [result.frame for result in session.push(image, time)]
            # At 25 frames a second 0.1 s are two frames and a half.
            assert frames == [number - 3] * (number >= 3)
        assert [result.frame for result in session.flush()] == [11, 12, 13]
        assert session.flush() == []


def test_with_all_the_future_it_says_what_predict_frames_says(shots: Shots) -> None:
    images, times = zip(*shots, strict=True)
    whole = predict_frames(images, times, config=EVERY).predictions[0]
    with Session(config=EVERY, delay=10) as session:
        found = played(session, shots)
    frames = [result.frame for result in found]
    assert frames == np.flatnonzero(whole.present).tolist()
    file = np.concatenate([whole.va, whole.expr, whole.au], axis=1)[frames]
    np.testing.assert_allclose(values(found), file, atol=1e-5)


def test_times_may_be_of_any_clock(shots: Shots) -> None:
    ours = played(Session(), shots[:6])
    theirs = played(Session(), [(image, time + 1.7e9) for image, time in shots[:6]])
    # A clock of so many seconds is exact to a quarter of a microsecond.
    np.testing.assert_allclose(values(ours), values(theirs), atol=1e-4)
    assert theirs[2].time == shots[2][1] + 1.7e9


@pytest.mark.parametrize(
    ("frame", "time", "words"),
    [
        (np.zeros((8, 8), np.uint8), 1, "expected uint8"),
        (np.zeros((8, 8, 4), np.uint8), 1, "expected uint8"),
        (np.zeros((8, 8, 3)), 1, "float64"),
        (np.zeros((0, 8, 3), np.uint8), 1, "expected uint8"),
        (np.zeros((1, 20_000, 3), np.uint8), 1, "too large"),
        ("frame", 1, "str"),
        (np.zeros((8, 8, 3), np.uint8), 0, "must increase"),
        (np.zeros((8, 8, 3), np.uint8), float("nan"), "number of seconds"),
        (np.zeros((8, 8, 3), np.uint8), "soon", "number of seconds"),
    ],
)
def test_what_is_no_frame_is_refused_and_changes_nothing(
    frame: Any, time: Any, words: str
) -> None:
    with Session() as session:
        session.push(np.zeros((16, 16, 3), np.uint8), 0)
        with pytest.raises(UsageError, match=words):
            session.push(frame, time)
        assert session.push(np.zeros((16, 16, 3), np.uint8), 0.5) == []


@pytest.mark.parametrize("delay", [-1, 11, float("nan"), float("inf"), "long"])
def test_no_such_delay(delay: Any) -> None:
    with pytest.raises(UsageError, match="delay"):
        Session(delay=delay)


def test_a_closed_session_is_closed(shots: Shots) -> None:
    session = Session(delay=1)
    session.push(*shots[0])
    session.close()
    assert session.flush() == []
    with pytest.raises(UsageError, match="closed"):
        session.push(*shots[1])
    with pytest.raises(UsageError, match="closed"):
        session.push_sound(np.zeros(10), 16_000)


def test_a_caller_may_use_the_array_again(shots: Shots) -> None:
    ours = played(Session(), shots[:6])
    buffer = np.empty_like(shots[0][0])
    session, theirs = Session(), []
    for image, time in shots[:6]:
        buffer[...] = image
        theirs += session.push(buffer, time)
        buffer[...] = 0
    assert np.array_equal(values(ours), values(theirs))


def test_people_who_are_gone_are_forgotten(shots: Shots, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    session.push(*shots[0])
    assert len(session._people) == 1
    blank = np.zeros_like(shots[0][0])
    for second in range(1, 62):
        assert session.push(blank, float(second)) == []
    assert session._people == {}
    assert len(session._last) == 0


def test_pictures_are_not_looked_at_live(looking: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="not done live"):
        Session(checkpoint=looking())


def test_a_trained_network_sees_its_last_window(
    looking: Callable[..., Path], shots: Shots, monkeypatch: pytest.MonkeyPatch
) -> None:
    branches = {"pose": {"features": ["face_pose"], "layers": [{"kind": "gru", "units": [4]}]}}
    run = looking(branches=branches, width=263)
    config = replace(EVERY, smooth="off")
    images, times = zip(*shots[:14], strict=True)
    whole = predict_frames(images, times, checkpoint=run, config=config).predictions[0]
    with Session(checkpoint=run, config=config) as session:
        assert session.tasks == ("va",)
        found = played(session, shots[:14])
    # Its window is of 16 frames, and a GRU looks back only: a file says the same of these.
    ours = np.stack([result.va[0] for result in found])
    np.testing.assert_allclose(ours, whole.va[:, 0], atol=1e-5)
    assert found[0].expr is None
    assert found[0].expression is None


def test_row_of_takes_all_columns(shots: Shots) -> None:
    images, times = zip(*shots[:3], strict=True)
    whole = predict_frames(images, times).predictions[0]
    row = module.row_of(whole, 1)
    for name, column in row.columns().items():
        if name != "frame":
            np.testing.assert_array_equal(column, whole.columns()[name][1:2])
