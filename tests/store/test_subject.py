"""The feature store: the same slices as the spool, keys, single arrays made again, damage."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.errors import DiskFullError, FeatureError, OutputError
from avaffect.files.npy import ArraySpec
from avaffect.store import subject as store
from avaffect.store import writing
from avaffect.store.provenance import array_key, provenance
from avaffect.store.spool import Spool
from avaffect.store.subject import COLUMNS, SpooledSubject, SubjectFeatures
from avaffect.store.writing import replace_arrays, write_subject

FRAMES = 90
ARRAYS = {"embedding": ArraySpec((6,), "float16"), "mesh": ArraySpec((4, 3), "float32")}
ROWS = {"audio": ArraySpec((3,), "float32"), "has_sound": ArraySpec((), "bool")}
KEYS = {name: f"key of {name}" for name in ("faces", *ARRAYS, *ROWS)}
PROVENANCE = provenance("a.mp4", "00ff", {"encoders": ["x"]}, {"net": "abcd"})


def present_in(track, frame):
    """Track 1 comes first, 4 takes over with some frames of overlap, 2 is someone else."""
    return {1: 5 <= frame < 40, 2: True, 4: 25 <= frame < 80 and frame % 7}[track]


def values(track, frame):
    seed = np.random.default_rng([track, frame])
    return {
        "box": seed.normal(size=4).astype("f4"),
        "points": seed.normal(size=(5, 2)).astype("f4"),
        "pose": seed.normal(size=3).astype("f4"),
        "confidence": float(seed.random()),
        "arrays": {n: seed.normal(size=s.shape).astype(s.dtype) for n, s in ARRAYS.items()},
    }


@pytest.fixture
def spool(tmp_path: Path):
    spool = Spool.create(tmp_path / "spool", ARRAYS, "k")
    for frame in range(FRAMES):
        spool.append_frame(frame / 25)
        for track in (1, 2, 4):
            if present_in(track, frame):
                spool.append_face(track, frame, **values(track, frame))
    audio = np.random.default_rng(0).normal(size=(FRAMES, 3)).astype("f4")
    spool.write_rows(ROWS, [{"audio": audio, "has_sound": audio[:, 0] > 0}])
    return spool


@pytest.fixture
def spooled(spool):
    return SpooledSubject("a_left", spool, [4, 1])


@pytest.fixture
def stored(tmp_path: Path, spooled):
    write_subject(tmp_path / "a_left", spooled, PROVENANCE, KEYS)
    return SubjectFeatures.open(tmp_path / "a_left")


def best_track(frame):
    """Which of tracks 1 and 4 the subject has on a frame, in the plainest way."""
    there = [track for track in (1, 4) if present_in(track, frame)]
    return max(there, key=lambda track: values(track, frame)["confidence"], default=None)


def test_the_subject_has_the_more_confident_track_on_each_frame(spooled) -> None:
    overlap = {best_track(frame) for frame in range(25, 40)}
    assert overlap == {1, 4}
    table = spooled.table()
    assert tuple(table.columns) == COLUMNS
    mesh, embedding = spooled.array("mesh"), spooled.array("embedding")
    for frame in range(FRAMES):
        row, track = table.iloc[frame], best_track(frame)
        assert row["frame"] == frame + 1
        assert row["time"] == frame / 25
        assert row["present"] == (track is not None) == spooled.present[frame]
        if track is None:
            assert row["track"] == -1
            assert row[list(COLUMNS[3:-2])].isna().all()
            assert not row["held"]
            assert np.isnan(mesh[frame]).all()
            assert np.isnan(embedding[frame]).all()
            continue
        original = values(track, frame)
        assert row["track"] == track
        assert row[["left", "top", "right", "bottom"]].tolist() == original["box"].tolist()
        assert row[["yaw", "pitch", "roll"]].tolist() == original["pose"].tolist()
        assert row["right_eye_x"] == original["points"][1, 0]
        assert row["nose_y"] == original["points"][2, 1]
        assert row["mouth_left_y"] == original["points"][3, 1]
        assert row["confidence"] == np.float32(original["confidence"])
        np.testing.assert_array_equal(mesh[frame], original["arrays"]["mesh"])
        np.testing.assert_array_equal(embedding[frame], original["arrays"]["embedding"])


def test_stored_equals_spooled(spooled, stored) -> None:
    assert (stored.name, stored.frames) == (spooled.name, spooled.frames) == ("a_left", FRAMES)
    assert stored.names == spooled.names == ("audio", "embedding", "has_sound", "mesh")
    assert stored.specs == spooled.specs
    np.testing.assert_array_equal(stored.times, spooled.times)
    np.testing.assert_array_equal(stored.present, spooled.present)
    np.testing.assert_array_equal(stored.confidence, spooled.confidence)
    np.testing.assert_array_equal(spooled.confidence, spooled.table()["confidence"])
    assert stored.confidence.dtype == spooled.confidence.dtype == np.float32
    assert stored.table().equals(spooled.table())
    assert (stored.table().dtypes == spooled.table().dtypes).all()


def test_slices_of_both_are_equal(spooled, stored) -> None:
    mapped = SubjectFeatures.open(stored.folder, mapped=True)

    @settings(max_examples=60, deadline=None)
    @given(
        name=st.sampled_from(sorted(KEYS.keys() - {"faces"})),
        start=st.integers(-100, 100),
        stop=st.none() | st.integers(-100, 100),
    )
    def check(name, start, stop):
        a, b = spooled.array(name, start, stop), stored.array(name, start, stop)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(b, stored.array(name)[start:stop])
        view = mapped.array(name, start, stop)
        assert view.dtype == a.dtype
        assert not view.flags.writeable
        np.testing.assert_array_equal(a, view)

    check()


def test_mapped_subjects_are_the_same(stored) -> None:
    mapped = SubjectFeatures.open(stored.folder, mapped=True)
    assert (mapped.name, mapped.frames, mapped.names) == (stored.name, FRAMES, stored.names)
    assert (mapped.specs, mapped.keys) == (stored.specs, stored.keys)
    assert mapped.table().equals(stored.table())
    with pytest.raises(FeatureError, match="no features called 'gaze'"):
        mapped.array("gaze")


def test_a_mapped_subject_that_is_made_again(stored) -> None:
    """Arrays already read stay as they were; opened again it has the new ones."""
    mapped = SubjectFeatures.open(stored.folder, mapped=True)
    before = {name: mapped.array(name).copy() for name in ("mesh", "audio")}
    audio = np.ones((FRAMES, 5), np.float32)
    specs = {"audio": ArraySpec((5,), "float32")}
    replace_arrays(stored.folder, specs, [{"audio": audio}], PROVENANCE, {"audio": "new"})
    for name, values in before.items():
        np.testing.assert_array_equal(mapped.array(name), values)
    again = SubjectFeatures.open(stored.folder, mapped=True)
    np.testing.assert_array_equal(again.array("audio"), audio)


def test_chunks_are_the_whole(stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_CHUNK", 7)
    parts = list(stored.chunks())
    assert len(parts) == 13
    for name in stored.names:
        whole = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(whole, stored.array(name))


def test_others_can_read_it(stored) -> None:
    import pandas as pd

    for name in stored.names:
        loaded = np.load(file_of(stored, name), allow_pickle=False)
        assert loaded.dtype == stored.specs[name].dtype
        np.testing.assert_array_equal(loaded, stored.array(name))
    frames = pd.read_parquet(stored.folder / "frames.parquet")
    assert frames.equals(stored.table())
    dtypes = frames.dtypes.astype(str).to_dict()
    assert (dtypes["frame"], dtypes["time"], dtypes["present"]) == ("int32", "float64", "bool")
    assert (dtypes["left"], dtypes["track"]) == ("float32", "int32")


def test_provenance_says_what_it_was_made_of(stored) -> None:
    found = stored.provenance
    assert found["video"] == {"name": "a.mp4", "sha256": "00ff"}
    assert found["configuration"] == {"encoders": ["x"]}
    assert found["models"] == {"net": "abcd"}
    assert found["keys"] == KEYS
    assert found["versions"]["numpy"] == np.__version__


def test_provenance_of_a_name_that_is_no_unicode(tmp_path: Path, spooled) -> None:
    strange = provenance(b"caf\xe9.mp4".decode(errors="surrogateescape"), "0", {}, {})
    write_subject(tmp_path / "a", spooled, strange, KEYS)
    assert SubjectFeatures.open(tmp_path / "a").provenance["video"]["name"] == "caf\ufffd.mp4"


def test_keys(stored) -> None:
    for name, key in KEYS.items():
        assert stored.has(name, key)
        assert not stored.has(name, "another")
    assert not stored.has("nothing", "")


def test_a_key_depends_on_everything() -> None:
    keys = [
        array_key("v", "audio", {"n_fft": 2048}, {"net": "1"}),
        array_key("w", "audio", {"n_fft": 2048}, {"net": "1"}),
        array_key("v", "mesh", {"n_fft": 2048}, {"net": "1"}),
        array_key("v", "audio", {"n_fft": 4096}, {"net": "1"}),
        array_key("v", "audio", {"n_fft": 2048}, {"net": "2"}),
        array_key("v", "audio", {"n_fft": 2048}),
    ]
    assert len(set(keys)) == len(keys)
    assert array_key("v", "a", {"x": 1, "y": 2}) == array_key("v", "a", {"y": 2, "x": 1})


def test_one_array_is_made_again(stored) -> None:
    before = {name: stored.array(name) for name in stored.names}
    audio = np.ones((FRAMES, 5), np.float32) * np.arange(FRAMES, dtype="f4")[:, None]
    chunks = ({"audio": audio[i : i + 11]} for i in range(0, FRAMES, 11))
    changed = {**PROVENANCE, "configuration": {"encoders": ["x"], "audio": 5}}
    specs = {"audio": ArraySpec((5,), "float32")}
    replace_arrays(stored.folder, specs, chunks, changed, {"audio": "new"})

    again = SubjectFeatures.open(stored.folder)
    np.testing.assert_array_equal(again.array("audio"), audio)
    for name in before.keys() - {"audio"}:
        np.testing.assert_array_equal(again.array(name), before[name])
    assert again.keys == {**KEYS, "audio": "new"}
    assert again.provenance["configuration"] == changed["configuration"]
    assert again.table().equals(stored.table())


def test_an_array_is_added(stored) -> None:
    replace_arrays(
        stored.folder,
        {"more": ArraySpec((), "int32")},
        [{"more": np.arange(FRAMES)}],
        PROVENANCE,
        {"more": "m"},
    )
    again = SubjectFeatures.open(stored.folder)
    assert again.array("more", 5, 8).tolist() == [5, 6, 7]
    assert again.names == ("audio", "embedding", "has_sound", "mesh", "more")


def file_of(subject, name):
    """The file that an array is in; there is one."""
    (path,) = subject.folder.glob(f"{name}-*.npy")
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_failed_replacement_leaves_the_store_as_it_was(stored) -> None:
    before = contents(stored.folder)

    def breaks():
        yield {"audio": np.zeros((10, 3))}
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFullError):
        replace_arrays(
            stored.folder, {"audio": ROWS["audio"]}, breaks(), PROVENANCE, {"audio": "n"}
        )
    with pytest.raises(ValueError, match="not written"):
        short = [{"audio": np.zeros((10, 3))}]
        replace_arrays(stored.folder, {"audio": ROWS["audio"]}, short, PROVENANCE, {"audio": "n"})
    with pytest.raises(ValueError, match="keys"):
        replace_arrays(stored.folder, {"audio": ROWS["audio"]}, [], PROVENANCE, {})
    assert contents(stored.folder) == before


def test_a_failed_rewrite_leaves_the_store_as_it_was(
    stored, spooled, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(stored.folder)

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "write_json", full)
    with pytest.raises(DiskFullError):
        write_subject(stored.folder, spooled, PROVENANCE, {**KEYS, "faces": "other"})
    assert contents(stored.folder) == before


def test_a_rewrite_replaces_the_store(stored, spool) -> None:
    write_subject(
        stored.folder, SpooledSubject("b", spool, [2]), PROVENANCE, {**KEYS, "faces": "n"}
    )
    again = SubjectFeatures.open(stored.folder)
    assert again.name == "b"
    assert again.present.all()
    assert again.has("faces", "n")
    named = {entry["file"] for entry in again.provenance["arrays"].values()}
    assert set(contents(stored.folder)) == named | {"frames.parquet", "provenance.json"}
    assert len(named) == len(KEYS) - 1


def snapshots(folder, target, monkeypatch, write):
    """The folder as a run that is killed beside any renaming or removal would leave it."""
    found = []

    def watched(change):
        def changed(path, *arguments, **options):
            out = change(path, *arguments, **options)
            found.append(shutil.copytree(folder, target / str(len(found))))
            return out

        return changed

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, watched(getattr(Path, name)))
        write()
    return found


def test_an_array_made_again_is_the_old_or_the_new_at_any_moment(
    stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {name: stored.array(name) for name in stored.names}
    audio = np.ones((FRAMES, 5), np.float32)

    def again(folder, key="new"):
        spec = {"audio": ArraySpec((5,), "float32")}
        replace_arrays(folder, spec, [{"audio": audio}], PROVENANCE, {"audio": key})

    left = snapshots(stored.folder, tmp_path, monkeypatch, lambda: again(stored.folder))
    assert len(left) > 3
    keys = []
    for folder in left:
        found = SubjectFeatures.open(folder)
        keys.append(found.keys["audio"])
        assert found.keys == KEYS | {"audio": keys[-1]}
        new = {**old, "audio": audio} if keys[-1] == "new" else old
        for name in found.names:
            np.testing.assert_array_equal(found.array(name), new[name])
        # The next run leaves one file an array.
        again(folder, "later")
        assert file_of(SubjectFeatures.open(folder), "audio")
        assert len(contents(folder)) == len(old) + 2
    assert {keys[0], keys[-1]} == {KEYS["audio"], "new"}


def test_files_of_the_other_arrays_are_not_touched(stored) -> None:
    def state():
        facts = {path.name: path.stat() for path in stored.folder.iterdir()}
        return {name: (of.st_ino, of.st_mtime_ns) for name, of in facts.items()}

    before = state()
    replace_arrays(
        stored.folder, {"audio": ROWS["audio"]}, [{"audio": np.zeros((FRAMES, 3))}],
        PROVENANCE, {"audio": KEYS["audio"]},
    )  # fmt: skip
    changed = dict(before.items() ^ state().items()).keys()
    assert {name.partition("-")[0] for name in changed} == {"audio", "provenance.json"}
    assert not SubjectFeatures.open(stored.folder).array("audio").any()


def test_a_torn_store_is_recognised(
    stored, spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run leaves the old subject, the new one, or what is refused and can be written."""
    new = {name: f"new {key}" for name, key in KEYS.items()}
    other = SpooledSubject("b", spool, [2])

    def write():
        write_subject(stored.folder, other, PROVENANCE, new)

    tables, states = {"a_left": stored.table(), "b": other.table()}, []
    for folder in snapshots(stored.folder, tmp_path / "left", monkeypatch, write):
        try:
            found = SubjectFeatures.open(folder)
        except FeatureError as error:
            assert "unfinished or damaged" in str(error)
            states.append("torn")
        else:
            states.append(found.name)
            assert found.table().equals(tables[found.name])
            for name in found.names:
                found.array(name)
        write_subject(folder, other, PROVENANCE, new)
        assert SubjectFeatures.open(folder).name == "b"
        assert len(contents(folder)) == len(KEYS) + 1
    assert (states[0], states[-1]) == ("a_left", "b")
    assert states.count("torn") <= 2


def test_files_of_two_writes_do_not_mix(stored, spool, tmp_path: Path) -> None:
    new = {name: f"new {key}" for name, key in KEYS.items()}
    write_subject(tmp_path / "new", SpooledSubject("b", spool, [2]), PROVENANCE, new)
    for name in ("frames.parquet", "provenance.json"):
        mixed = shutil.copytree(stored.folder, tmp_path / name)
        shutil.copy(tmp_path / "new" / name, mixed)
        with pytest.raises(FeatureError):
            SubjectFeatures.open(mixed)


def test_missing_stores(tmp_path: Path, stored) -> None:
    with pytest.raises(FeatureError, match="no feature store"):
        SubjectFeatures.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FeatureError, match="missing"):
        SubjectFeatures.open(tmp_path / "empty")
    for name, data in contents(stored.folder).items():
        (stored.folder / name).unlink()
        with pytest.raises(FeatureError):
            SubjectFeatures.open(stored.folder)
        (stored.folder / name).write_bytes(data)
    SubjectFeatures.open(stored.folder)


@pytest.mark.parametrize("name", ["embedding", "frames.parquet", "provenance.json"])
def test_damaged_stores(stored, name: str) -> None:
    path = stored.folder / name if "." in name else file_of(stored, name)
    whole = path.read_bytes()
    for data in (b"", b"\0" * 100, whole[: len(whole) // 2], whole[:-3]):
        path.write_bytes(data)
        with pytest.raises(FeatureError):
            SubjectFeatures.open(stored.folder)


@pytest.mark.parametrize(
    "change",
    [
        {"arrays": {}},
        {"arrays": {"audio": {"file": "../mesh-0123456789abcdef.npy", "hashes": []}}},
        {"arrays": {"audio": {"file": "/etc/passwd", "hashes": []}}},
        {"frames": 10**9},
        {"frames": FRAMES - 1},
        {"keys": {"faces": "k"}},
        {"subject": "../a"},
    ],
)
def test_records_that_lie(stored, change) -> None:
    path = stored.folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FeatureError):
        SubjectFeatures.open(stored.folder)


def test_an_array_in_the_place_of_another(stored) -> None:
    """The header tells other columns, or the hashes other values."""
    path = stored.folder / "provenance.json"
    record = json.loads(path.read_text())
    shutil.copy(file_of(stored, "mesh"), file_of(stored, "audio"))
    with pytest.raises(FeatureError, match="damaged"):
        SubjectFeatures.open(stored.folder).array("audio")
    np.save(stored.folder / record["arrays"]["audio"]["file"], np.zeros((FRAMES, 3), "f4"))
    with pytest.raises(FeatureError, match="damaged"):
        SubjectFeatures.open(stored.folder).array("audio")


def test_a_frame_table_with_other_columns(stored) -> None:
    path = stored.folder / "frames.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["yaw"]), path)
    with pytest.raises(FeatureError):
        SubjectFeatures.open(stored.folder)


def test_a_frame_table_damaged_in_its_middle(stored) -> None:
    path = stored.folder / "frames.parquet"
    data = bytearray(path.read_bytes())
    data[4:300] = bytes(296)
    path.write_bytes(data)
    with pytest.raises(FeatureError):
        SubjectFeatures.open(stored.folder).table()


def test_a_store_of_another_version(stored) -> None:
    path = stored.folder / "provenance.json"
    path.write_text(json.dumps({"version": 1, "subject": "a", "frames": FRAMES, "keys": KEYS}))
    with pytest.raises(FeatureError, match="written by another version") as caught:
        SubjectFeatures.open(stored.folder)
    assert caught.value.hint == "run `avaffect preprocess` again"


def test_what_an_earlier_version_left_goes(stored, spooled) -> None:
    (stored.folder / "provenance.json").write_text('{"version": 1}')
    (stored.folder / "arrays.safetensors").write_bytes(b"old")
    (stored.folder / "notes.npy").write_bytes(b"the user's")
    write_subject(stored.folder, spooled, PROVENANCE, KEYS)
    assert len(contents(stored.folder)) == len(KEYS) + 2
    assert not (stored.folder / "arrays.safetensors").exists()


def test_unknown_arrays(spooled, stored) -> None:
    for subject in (spooled, stored):
        with pytest.raises(
            FeatureError, match=r"no features called 'gaze' \(has audio, embedding"
        ):
            subject.array("gaze")


def test_keys_are_checked(tmp_path: Path, spooled) -> None:
    with pytest.raises(ValueError, match="keys"):
        write_subject(tmp_path / "a", spooled, PROVENANCE, {"faces": "x"})
    assert not (tmp_path / "a").exists()


def test_unwritable_folder(tmp_path: Path, spooled) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        write_subject(tmp_path / "file" / "a", spooled, PROVENANCE, KEYS)


def test_a_subject_of_no_tracks_and_a_pass_without_arrays(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path / "s", {}, "k")
    for frame in range(3):
        spool.append_frame(frame / 25)
    subject = SpooledSubject("a", spool, [])
    write_subject(tmp_path / "a", subject, PROVENANCE, {"faces": "f"})
    stored = SubjectFeatures.open(tmp_path / "a")
    assert (stored.frames, stored.names, stored.present.any()) == (3, (), False)
    assert stored.table().equals(subject.table())
    assert np.isnan(stored.confidence).all()


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_flipped_bit_in_an_array_is_noticed(stored, mapped: bool) -> None:
    for name in stored.names:
        path = file_of(stored, name)
        whole = path.read_bytes()
        for at in (-1, len(whole) // 2, 70):
            flip(path, at)
            with pytest.raises(FeatureError, match="is damaged"):
                SubjectFeatures.open(stored.folder, mapped=mapped).array(name, FRAMES - 1)
            path.write_bytes(whole)


@pytest.mark.parametrize("column", ["times", "present", "confidence"])
def test_a_flipped_bit_in_the_frame_table_is_noticed(stored, column: str) -> None:
    flip(stored.folder / "frames.parquet", 60)
    with pytest.raises(FeatureError, match="damaged"):
        getattr(SubjectFeatures.open(stored.folder), column)


def test_hashes_are_kept_where_arrays_are_replaced(stored) -> None:
    spec = {"mesh": ARRAYS["mesh"]}
    rows = np.zeros((FRAMES, 4, 3), "f4")
    replace_arrays(stored.folder, spec, [{"mesh": rows}], PROVENANCE, {"mesh": "new"})
    again = SubjectFeatures.open(stored.folder)
    assert again.provenance["arrays"].keys() == set(again.names)
    for name in again.names:
        again.array(name)
    flip(stored.folder / "frames.parquet", 60)
    with pytest.raises(FeatureError, match="damaged"):
        SubjectFeatures.open(stored.folder).table()
