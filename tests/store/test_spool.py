"""The spool: what goes in comes out, also after an interruption at any moment."""

import errno
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.errors import DiskFullError, FeatureError, OutputError
from avaffect.files.npy import ArraySpec
from avaffect.store.spool import Spool

ARRAYS = {"embedding": ArraySpec((6,), "float16"), "mesh": ArraySpec((4, 3), "float32")}


@cache
def face(track, frame):
    """Arguments of append_face, different for every track and frame. Not to be changed."""
    seed = np.random.default_rng([track, frame])
    return {
        "track_id": track,
        "frame": frame,
        "box": seed.normal(size=4).astype("f4"),
        "points": seed.normal(size=(5, 2)).astype("f4"),
        "pose": seed.normal(size=3).astype("f4"),
        "confidence": float(np.float32(seed.random())),
        "arrays": {
            "embedding": seed.normal(size=6).astype("f2"),
            "mesh": seed.normal(size=(4, 3)).astype("f4"),
        },
    }


def tracks_of(frame):
    """Which tracks have a face on a frame: 0 always, 7 on every third, 9 rarely."""
    return [t for t, every in ((0, 1), (7, 3), (9, 50)) if frame % every == 0]


def run(spool, start, stop):
    for frame in range(start, stop):
        spool.append_frame(frame / 30)
        for track in tracks_of(frame):
            spool.append_face(**face(track, frame))


def check(spool, frames):
    np.testing.assert_array_equal(spool.times(), np.arange(frames) / 30)
    assert spool.frames == frames
    expected = {t: [f for f in range(frames) if t in tracks_of(f)] for t in (0, 7, 9)}
    assert spool.tracks == {t: len(of) for t, of in expected.items() if of}
    for track in spool.tracks:
        records = spool.track(track)
        assert records.dtype == spool.dtype
        assert records["frame"].tolist() == expected[track]
        originals = [face(track, frame) for frame in expected[track]]
        for name in ("box", "points", "pose", "confidence"):
            np.testing.assert_array_equal(records[name], [each[name] for each in originals])
        for name in ARRAYS:
            wanted = [each["arrays"][name] for each in originals]
            np.testing.assert_array_equal(records[name], wanted)
        base = spool.base(track)
        for name in base.dtype.names:
            np.testing.assert_array_equal(base[name], records[name])


@pytest.mark.parametrize("frames", [0, 1, 5, 300])
def test_what_goes_in_comes_out(tmp_path: Path, frames: int) -> None:
    spool = Spool.create(tmp_path / "new" / "spool", ARRAYS, "k")
    run(spool, 0, frames)
    check(spool, frames)


def test_slices(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 300)
    assert spool.track(0, 10, 13)["frame"].tolist() == [10, 11, 12]
    assert spool.track(0, 298, 999)["frame"].tolist() == [298, 299]
    assert len(spool.track(0, 5, 2)) == 0


def test_long_tracks_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avaffect.store.spool._READ_ROWS", 7)
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 100)
    check(spool, 100)


def test_buffers_do_not_grow(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    for frame in range(1000):
        spool.append_frame(frame / 30)
        spool.append_face(**face(frame, frame))
    held = sum(len(data) for data in spool._pending.values()) + len(spool._pending_times)
    assert held < 256 * (spool.dtype.itemsize + 8)
    assert len(spool._pending) < 256


def test_times_alone_do_not_grow_the_buffer(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    for frame in range(1000):
        spool.append_frame(frame / 30)
    assert len(spool._pending_times) < 8 * 256


@settings(max_examples=20, deadline=None)
@given(first=st.integers(0, 400), lost=st.integers(0, 400), flush=st.booleans())
def test_resume_goes_on_where_the_checkpoint_was(
    tmp_path_factory: pytest.TempPathFactory, first, lost, flush
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool.create(folder, ARRAYS, "k")
    run(spool, 0, first)
    spool.checkpoint({"next": first, "deep": [1, None, "x"]})
    run(spool, first, first + lost)
    if flush:
        spool.flush()
    del spool

    resumed = Spool.resume(folder, ARRAYS, "k")
    assert resumed is not None
    spool, state = resumed
    assert state == {"next": first, "deep": [1, None, "x"]}
    check(spool, first)
    run(spool, first, 450)
    check(spool, 450)


def test_resume_after_a_death_in_mid_write(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 20)
    spool.checkpoint(None)
    for path in tmp_path.glob("track-*.bin"):
        path.write_bytes(path.read_bytes() + b"half a record")
    (tmp_path / "track-000123.bin").write_bytes(b"a track begun after the checkpoint")
    resumed = Spool.resume(tmp_path, ARRAYS, "k")
    assert resumed is not None
    check(resumed[0], 20)
    assert not (tmp_path / "track-000123.bin").exists()


def test_nothing_to_resume(tmp_path: Path) -> None:
    assert Spool.resume(tmp_path / "missing", ARRAYS, "k") is None
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 10)
    assert Spool.resume(tmp_path, ARRAYS, "k") is None


def test_no_resume_with_other_settings(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 10)
    spool.checkpoint(None)
    assert Spool.resume(tmp_path, ARRAYS, "other") is None
    assert Spool.resume(tmp_path, {"mesh": ARRAYS["mesh"]}, "k") is None
    wider = {**ARRAYS, "embedding": ArraySpec((7,), "float16")}
    assert Spool.resume(tmp_path, wider, "k") is None
    assert Spool.resume(tmp_path, ARRAYS, "k") is not None


def test_no_resume_of_damage(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 10)
    spool.checkpoint(None)
    good = json.loads((tmp_path / "checkpoint.json").read_text())
    for bad in ("", "[]", "{}", json.dumps({**good, "tracks": 3}),
                json.dumps({**good, "frames": -1}), json.dumps({**good, "frames": 11}),
                json.dumps({**good, "tracks": {"5": 1}})):  # fmt: skip
        (tmp_path / "checkpoint.json").write_text(bad)
        assert Spool.resume(tmp_path, ARRAYS, "k") is None
    (tmp_path / "checkpoint.json").write_text(json.dumps(good))
    assert Spool.resume(tmp_path, ARRAYS, "k") is not None
    with (tmp_path / "track-000000.bin").open("r+b") as file:
        file.truncate(100)
    assert Spool.resume(tmp_path, ARRAYS, "k") is None


def test_create_starts_anew_and_touches_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 60)
    spool.checkpoint(None)
    spool = Spool.create(tmp_path, ARRAYS, "k")
    check(spool, 0)
    assert Spool.resume(tmp_path, ARRAYS, "k") is None
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        Spool.create(tmp_path / "file" / "spool", ARRAYS, "k")


@pytest.mark.parametrize(
    "change",
    [
        {"frame": 3},  # already written
        {"frame": 2},
        {"frame": 5},  # not yet decoded
        {"track_id": -1},
        {"box": np.zeros(5)},
        {"points": np.zeros((1, 2))},
        {"pose": 0.0},
        {"confidence": float("nan")},
        {"arrays": {"mesh": np.zeros((4, 3))}},
        {"arrays": {"mesh": np.zeros((4, 3)), "embedding": np.zeros(6), "more": np.zeros(1)}},
        {"arrays": {"mesh": np.zeros((4, 3)), "embedding": np.zeros((1, 6))}},
    ],
)
def test_faces_are_checked(tmp_path: Path, change) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    for frame in range(5):
        spool.append_frame(frame / 30)
    spool.append_face(**face(0, 3))
    with pytest.raises(ValueError):
        spool.append_face(**{**face(0, 4), **change})
    spool.append_face(**face(0, 4))
    assert spool.track(0)["frame"].tolist() == [3, 4]


def test_order_within_a_track_is_checked_after_a_resume(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 10)
    spool.checkpoint(None)
    resumed = Spool.resume(tmp_path, ARRAYS, "k")
    assert resumed is not None
    with pytest.raises(ValueError, match="does not follow frame 9"):
        resumed[0].append_face(**face(0, 9))


def test_names_must_differ_from_the_base_fields(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        Spool.create(tmp_path, {"box": ArraySpec((4,), "float32")}, "k")


def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 10)
    spool.checkpoint("good")
    run(spool, 10, 20)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(DiskFullError):
            spool.checkpoint("bad")
    resumed = Spool.resume(tmp_path, ARRAYS, "k")
    assert resumed is not None
    assert resumed[1] == "good"
    check(resumed[0], 10)


def test_files_lost_behind_its_back(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 10)
    spool.flush()
    (tmp_path / "track-000000.bin").write_bytes(b"")
    (tmp_path / "track-000007.bin").unlink()
    for track in (0, 7):
        with pytest.raises(FeatureError):
            spool.track(track)


def test_rows(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 10)
    assert not spool.rows
    specs = {"audio": ArraySpec((3,), "float32"), "has_sound": ArraySpec((), "bool")}
    audio = np.random.default_rng(0).normal(size=(10, 3)).astype("f4")
    heard = audio[:, 0] > 0
    spool.write_rows(
        specs, ({"audio": audio[i : i + 4], "has_sound": heard[i : i + 4]} for i in (0, 4, 8))
    )
    np.testing.assert_array_equal(spool.rows["audio"].read(), audio)
    np.testing.assert_array_equal(spool.rows["has_sound"].read(2, 9), heard[2:9])

    with pytest.raises(ValueError, match="not written"):
        spool.write_rows(specs, [{"audio": audio[:9], "has_sound": heard[:9]}])
    with pytest.raises(ValueError, match="taken"):
        spool.write_rows({"mesh": ARRAYS["mesh"]}, [])
    np.testing.assert_array_equal(spool.rows["audio"].read(), audio)


def damage(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["times.f8", "track-000000.bin"])
def test_no_resume_from_a_flipped_bit(tmp_path: Path, name: str) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    run(spool, 0, 20)
    spool.checkpoint(None)
    damage(tmp_path / name, 50)
    assert Spool.resume(tmp_path, ARRAYS, "k") is None
    damage(tmp_path / name, 50)
    assert Spool.resume(tmp_path, ARRAYS, "k") is not None


def test_two_at_once_are_noticed_and_begin_anew(tmp_path: Path) -> None:
    """Each appends to the other's files, and their checkpoints take turns."""
    first = Spool.create(tmp_path, ARRAYS, "k")
    run(first, 0, 10)
    second = Spool.create(tmp_path, ARRAYS, "k")
    run(second, 0, 5)
    for spool in (first, second):
        spool.checkpoint(None)
    run(first, 10, 20)
    for spool in (second, first):
        spool.checkpoint(None)
    with pytest.raises(FeatureError, match="something else than this run wrote"):
        first.require_whole()
    assert Spool.resume(tmp_path, ARRAYS, "k") is None


def test_a_pass_that_nobody_disturbed_is_whole(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, ARRAYS, "k")
    spool.require_whole()
    run(spool, 0, 300)
    spool.require_whole()
    spool.checkpoint(None)
    resumed = Spool.resume(tmp_path, ARRAYS, "k")
    assert resumed is not None
    run(resumed[0], 300, 310)
    resumed[0].require_whole()
    check(resumed[0], 310)
