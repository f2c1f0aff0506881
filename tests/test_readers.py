"""Every reader of outside data: whatever the bytes, success or an AvaffectError with one line.

`READERS` lists them all. Who adds a reader adds a line: what makes a valid file and what reads
it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import torch
from fixtures.public_sets import afewva, bp4d, rafdb
from fixtures.spooled import append_face
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from avaffect.challenge.image_rows import is_image_list
from avaffect.challenge.known import known_subjects
from avaffect.challenge.mtl import read_mtl
from avaffect.challenge.single import read_single
from avaffect.challenge.submissions import read_submissions
from avaffect.challenge.submit import check_submission
from avaffect.challenge.templates import read_template
from avaffect.challenge.text import read_annotations
from avaffect.challenge.zip import is_own_zip, write_zip
from avaffect.config import AudioConfig, MediaConfig, PredictConfig
from avaffect.converting.run import convert
from avaffect.datasets.folds import Folds
from avaffect.datasets.row_files import RowFile
from avaffect.datasets.sets.registry import SETS
from avaffect.datasets.sets.sample import Log
from avaffect.datasets.tables import TableFeatures, read_any
from avaffect.ensemble.members import _reason
from avaffect.errors import AvaffectError, ModelError
from avaffect.faces.pose import HeadModel
from avaffect.files.atomic import write_json
from avaffect.files.npy import ArraySpec
from avaffect.files.ours import read_claims, write_claims
from avaffect.files.outside import reading
from avaffect.files.picture_file import picture_size, read_picture
from avaffect.files.seal import read_seal
from avaffect.files.table import read_about, read_table, write_table
from avaffect.media.container import open_container
from avaffect.media.foreign import describe
from avaffect.media.frames import FrameReader
from avaffect.media.sound import read_blocks
from avaffect.media.stills import stills
from avaffect.media.tracks import choose_track, pieces
from avaffect.models.content import Content
from avaffect.models.session import OnnxNet, TfliteNet, read_bundle
from avaffect.networks.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avaffect.predicting.outputs import Outputs
from avaffect.predicting.read_back import open_predictions
from avaffect.predicting.settings import with_checkpoint
from avaffect.predictions.postprocess import Postprocess, load_postprocess
from avaffect.predictions.prediction import Prediction
from avaffect.predictors.joined import Joined
from avaffect.recipes.ensemble_recipe import Average, load_ensemble
from avaffect.recipes.library import change_recipe, load_recipe, parse_recipe, to_yaml
from avaffect.sound.mfcc import audio_features
from avaffect.store.prepared import Prepared, source_name
from avaffect.store.provenance import provenance
from avaffect.store.spool import Spool
from avaffect.store.subject import SpooledSubject, SubjectFeatures
from avaffect.store.writing import write_subject
from avaffect.training.run import DataConfig, RunConfig, read_run
from avaffect.training.state import load_state, save_state

EXAMPLES = 25
AU = "0,1,0,0,0,0,0,0,0,0,0,0"
TREE = {
    "name": "small",
    "branches": {"voice": {"modality": "audio", "features": ["audio"],
                           "layers": [{"kind": "gru", "units": [4]}]}},
    "tasks": {"va": {"terms": {"ccc": 1}}},
}  # fmt: skip


def content(path: Path) -> Content:
    """As `models.content` reads it, checked by nothing."""
    with reading(path, ModelError):
        return Content(path, path.read_bytes())


class Reader(NamedTuple):
    """A file, what makes it and what reads it; ``make`` may write other files beside it."""

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], Any]


def text(*lines: str) -> Callable[[Path], object]:
    return lambda path: path.write_text("".join(f"{line}\n" for line in lines))


def record(value: Any) -> Callable[[Path], None]:
    return lambda path: write_json(path, value)


def make_seal(path: Path) -> None:
    path.with_suffix("").write_bytes(b"net")
    path.write_text(f"{hashlib.sha256(b'net').hexdigest()}\n", encoding="utf-8")


def public(name: str, above: int) -> Callable[[Path], Any]:
    """Reads the public set ``name``, whose folder lies so many above that of the file."""
    return lambda path: [*SETS[name].read(path.parents[above], Log())]


def make_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        rows = "image_location,valence,arousal\nv/00001.jpg,0.5,0.5\nv/00002.jpg,0,0\n"
        archive.writestr("predictions.txt", rows)


def make_wav(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(3200))


def make_table(path: Path) -> None:
    prediction = Prediction(
        "a",
        "m",
        np.arange(4) / 25,
        np.ones(4, bool),
        np.ones(4, np.float32),
        va=np.zeros((4, 2), np.float32),
        expr=np.full((4, 8), 0.125, np.float32),
    )
    write_table(path, prediction.columns(), {"model": "m"})


def read_predictions(path: Path) -> None:
    found = open_predictions(path.parents[1], "abaw5")
    for subject in found.subjects:
        found.times(subject)
        found.read(subject)


def converted(path: Path) -> None:
    for form in ("eaf", "jsonl", "bids", "openface"):
        convert(path, form)


# The array "net" in the store that `make_store` makes: its name and key give it.
ARRAY = "net-0130754b95963b7f.npy"


def make_store(path: Path) -> None:
    spool = Spool.create(path.parent / "spool", {"net": ArraySpec((2,), "float32")}, "key")
    for frame in range(5):
        spool.append_frame(frame / 25)
        ones = np.ones
        append_face(spool, 0, frame, ones(4), ones((5, 2)), ones(3), 0.5, {"net": ones(2)})
    about = provenance("a.mp4", "00ff", {"faces": {"crop_size": 112}}, {})
    subject = SpooledSubject("a", spool, [0])
    write_subject(path.parent, subject, about, {"faces": "k", "net": "k"})
    shutil.rmtree(path.parent / "spool")


def read_store(path: Path) -> None:
    subject = SubjectFeatures.open(path.parent)
    subject.times, subject.present, subject.confidence, subject.table()
    list(subject.chunks())
    SubjectFeatures.open(path.parent, mapped=True).array("net", 0, 2)


def make_spool(path: Path) -> None:
    spool = Spool.create(path.parent, {}, "key")
    spool.append_frame(0.0)
    spool.checkpoint({"at": 1})


def make_checkpoint(path: Path) -> None:
    checkpoint = Checkpoint(
        parse_recipe(TREE, "here"), {"va": ("valence", "arousal")}, {"voice": 3},
        features={"sound_rate": 50.0, "audio": {"n_mfcc": 40}},
    )  # fmt: skip
    save_checkpoint(path.parent, checkpoint, checkpoint.build())


def read_checkpoint(path: Path) -> None:
    load_checkpoint(path.parent)
    with_checkpoint(PredictConfig(), path.parent)


def state_parts() -> dict[str, Any]:
    return {"net": torch.nn.Linear(2, 2)}


def make_bundle(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net.tflite", bytes(100))


def read_columns(path: Path) -> None:
    table = read_any(path)
    for name in table.names:
        table.texts(name)
        if table.is_numeric(name):
            table.numbers(name)
    TableFeatures(table, [column for column in table.names if table.is_numeric(column)]).array(
        "table"
    )


def read_rows(path: Path) -> None:
    file = RowFile.open(path)
    list(file.aligned(file.choose(), file.match(None).rows))


def parquet(path: Path) -> None:
    columns = {"x": np.arange(9.0), "name": np.array(["a", None, "b"] * 3, object)}
    write_table(path, columns, {})


def submission(path: Path) -> None:
    check_submission(path, "va", "abaw5")


def annotated(task: str) -> Callable[[Path], Any]:
    return lambda path: read_annotations(path, task, "abaw5")


def picture(path: Path) -> None:
    cv2.imwrite(str(path), np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


def read_face(path: Path) -> None:
    picture_size(path)
    read_picture(path, 8)


def read_model(path: Path) -> bytes:
    with reading(path, ModelError):
        return path.read_bytes()


def template(task: str, edition: str) -> Callable[[Path], Any]:
    return lambda path: read_template(path, task, edition)


def read_folder(path: Path) -> None:
    folder = Prepared(path.parent)
    _ = folder.video, folder.media, folder.sound, folder.ours(), source_name(path.parent)
    folder.require_free_for("b.mp4", "0")
    folder.finished("k")
    folder.subjects()


def read_outputs(path: Path) -> None:
    outputs = Outputs(path.parents[1])
    outputs.written("a", "k"), outputs.owners(), outputs.records.ours(), outputs.require_place("a")
    outputs.require_free_for("a", ABOUT)


def read_boxes(path: Path) -> None:
    open_container(path).close()


def read_sound(path: Path) -> None:
    stills(path)
    if track := choose_track(path, MediaConfig()):
        list(pieces(path, track))
    list(read_blocks(path, 1.0))


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


ENTRIES = bytes(8) + box(b"avc1", bytes(16))
MP4 = box(b"ftyp", b"isom" + bytes(4)) + box(
    b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stsd", ENTRIES)))))
)
RUN = RunConfig(parse_recipe(TREE, "here"), DataConfig("x", "y")).to_dict()
ABOUT = {"name": "a.mp4", "sha256": "0"}
PREPARED = {
    "video": ABOUT, "name": "a", "subjects": ["a"], "frames": 1, "faces": 1, "made_with": "k",
    "files": ["features/a", "audio.wav"], "media": {"first_time_s": 0.5},
    "sound": {"samples": 1, "sample_rate": 16_000, "duration_s": 1, "start_s": 0, "end_s": 1,
              "errors": 0, "mix": "downmix", "cuts": [[1, 2]]},
}  # fmt: skip
PREDICTED = {
    "video": ABOUT, "subjects": ["a"], "files": ["tables/a.parquet"], "key": "k",
    "edition": "abaw5", "single": ["MTL_Challenge/MTL_predictions.txt"], "faces": {"a": 1},
}  # fmt: skip
READERS = [
    Reader("a.txt", text("valence,arousal", "0.5,0.1", "-5,-5"), annotated("va")),
    Reader("e.txt", text("Neutral,Anger", "1", "-1"), annotated("expr")),
    Reader("au.txt", text("AU1,AU2", AU, AU), annotated("au")),
    Reader("turned.txt", text("arousal,valence", "0.5,0.1", "-5,-5", ""), annotated("va")),
    Reader("mtl.txt", text("image,va", f"v/00001.jpg,0,0,1,{AU}"), read_mtl),
    Reader("s.txt", text("image_location,valence,arousal", "v/00001.jpg,0,1"),
           lambda path: read_single(path, "va", "abaw5")),
    Reader("l.txt", text("image", "v/00001.jpg,0,1"), is_image_list),
    Reader("t.txt", text("image_location,valence,arousal", "v/00001.jpg,"),
           template("va", "abaw5")),
    Reader("n.txt", text("v 12", "w 3"), template("va", "abaw2")),
    Reader("p.txt", text("image_location,valence,arousal", "v/00001.jpg,0,1"), submission),
    Reader("z.zip", make_zip, submission),
    Reader("run/tables/a.parquet", make_table, read_predictions),
    Reader("t.parquet", make_table, read_table),
    Reader("out/tables/a.parquet", make_table, converted),
    Reader("own.parquet", parquet, read_columns),
    Reader("own.csv", text("x,name", "1,a", '2,"b"'), read_columns),
    Reader("own.npy", lambda path: np.save(path, np.ones((4, 3), np.float32)), read_columns),
    Reader("own.npz", lambda path: np.savez(path, x=np.ones((4, 3), np.float32), t=np.arange(4)),
           read_columns),
    Reader("packed/own.npz", lambda path: np.savez_compressed(path, x=np.ones((4, 3))), read_rows),
    Reader("own.safetensors", lambda path: save_file({"x": np.ones((4, 3), np.float32)}, path),
           read_rows),
    Reader("openface.csv", text("frame, success, AU01_r", "1, 1, .5", "2, 0, .1"), read_rows),
    Reader("rows.parquet", make_table, read_rows),
    Reader("basic/EmoLabel/list_patition_label.txt",
           lambda path: rafdb(path.parents[2], [("train_00001", 1), ("test_0001", 2)]),
           public("rafdb", 2)),
    Reader("001/001.json", lambda path: afewva(path.parents[1], {"001": [(0, 0)]}),
           public("afew-va", 1)),
    Reader("AUCoding/AU_OCC/F001_T1.csv",
           lambda path: bp4d(path.parents[2], {"F001_T1": ["7,1,0,9,1,1"]}), public("bp4d", 2)),
    Reader("submissions.json", record({"version": 1, "submissions": []}),
           lambda path: read_submissions(path.parent)),
    Reader("folds.json", record({"version": 1, "method": "k-fold", "seed": 0,
                                 "folds": {"a": 0, "b": 1}}),
           lambda path: Folds.load(path, [])),
    Reader("postprocess.json", lambda path: Postprocess().save(path.parent),
           lambda path: load_postprocess(path.parent)),
    Reader("joined.json",
           lambda path: Joined("j", {"a": {"a": "0"}}, Average(), (1.0,)).save(path.parent),
           lambda path: Joined.load(path.parent)),
    Reader("run.json", record(RUN), lambda path: read_run(path.parent)),
    Reader("checkpoint.json", make_checkpoint, read_checkpoint),
    Reader("network.safetensors", make_checkpoint, read_checkpoint),
    Reader("state.pt", lambda path: save_state(path.parent, state_parts(), {"epoch": 1}),
           lambda path: load_state(path.parent, state_parts())),
    Reader("r.yaml", lambda path: path.write_text(to_yaml(parse_recipe(TREE, "here"))),
           load_recipe),
    Reader("ens.yaml", text("members:", "- {name: a, recipe: speech-gru}", "folds: 2"),
           load_ensemble),
    Reader("provenance.json", make_store, read_store),
    Reader("frames.parquet", make_store, read_store),
    Reader(ARRAY, make_store, read_store),
    Reader("preprocess.json", record(PREPARED), read_folder),
    Reader(".work/claims.json", lambda path: write_claims(path, ["features/a"]),
           lambda path: (read_claims(path), Prepared(path.parents[1]).ours())),
    Reader("records/a.json", record(PREDICTED), read_outputs),
    Reader("known/a.parquet", make_table,
           lambda path: (known_subjects(path.parent, ["a"]), read_about(path))),
    Reader("seal/net.onnx.sha256", make_seal, lambda path: read_seal(path.with_suffix(""))),
    Reader("log.txt", text("training", "avaffect: it failed"), _reason),
    Reader("own.zip", lambda path: write_zip(path, [("a.txt", ["x\n"])]), is_own_zip),
    Reader("a.mp4", lambda path: path.write_bytes(MP4), read_boxes),
    Reader("a.dat", lambda path: path.write_bytes(b"NIST_1A"), describe),
    Reader("a.wav", make_wav, read_sound),
    Reader("checkpoint/checkpoint.json", make_spool,
           lambda path: Spool.resume(path.parent, {}, "key")),
    Reader("face.jpg", picture, read_face),
    Reader("face.png", picture, read_face),
    Reader("audio.wav", make_wav,
           lambda path: list(audio_features(path, np.arange(3) / 25, AudioConfig()))),
    Reader("net.task", make_bundle,
           lambda path: read_bundle(content(path), "net.tflite")),
    Reader("head.pb", lambda path: path.write_bytes(b"\x0a\x02\x1d\x00"),
           lambda path: HeadModel.from_bundle(read_model(path))),
    Reader("net.onnx", lambda path: path.write_bytes(bytes(64)), OnnxNet),
    Reader("net.tflite", lambda path: path.write_bytes(bytes(64)), TfliteNet),
]  # fmt: skip
IDS = [reader.name for reader in READERS]

# What stands where something else is expected.
ODD = st.sampled_from(
    [None, True, -1, 0, 10**30, 1e308, "", "../x", "/etc", "\0", "con", "x" * 300, "\ud800",
     [], {}, [[]], [None], {"": None}, [1e9], {"a": {"b": "c"}}]
)  # fmt: skip


@st.composite
def changed_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """``data`` cut, with bytes exchanged, with something put in, or anything else."""
    way = draw(st.integers(0, 4))
    if way == 0:
        return draw(st.binary(max_size=200))
    if way == 1:
        return data[: draw(st.integers(0, len(data)))]
    if way == 2:
        at = draw(st.integers(0, len(data)))
        odd = st.sampled_from(
            [
                b"\n",
                b"\r",
                b"\0",
                b"nan",
                b"inf",
                b"1e999",
                b"[" * 5000,
                b"\xff",
                b"9" * 400,
                b"9" * 5000,
                b"../",
                b"\xef\xbb\xbf",
                b"&a [*a]",
            ]
        )
        return data[:at] + draw(odd) + data[at:]
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        if changed:
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return bytes(changed)


@st.composite
def changed_json(draw: st.DrawFn, data: bytes) -> bytes:
    """A record of which one value is another's type, or gone."""
    tree = json.loads(data)
    places: list[tuple[Any, Any]] = [([tree], 0)]

    def walk(value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(tree)
    holder, key = draw(st.sampled_from(places))
    if draw(st.booleans()) and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = draw(ODD)
    # The first place is that of the whole.
    return json.dumps(places[0][0][0]).encode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Reader], tuple[Path, bytes]]:
    """The path of a reader's file in a fresh folder, and its valid content."""
    known: dict[str, tuple[Path, bytes]] = {}

    def make(reader: Reader) -> tuple[Path, bytes]:
        if reader.name not in known:
            path = tmp_path_factory.mktemp("reader") / reader.name
            path.parent.mkdir(parents=True, exist_ok=True)
            reader.make(path)
            known[reader.name] = path, path.read_bytes()
        return known[reader.name]

    return make


def read(reader: Reader, path: Path) -> None:
    try:
        reader.read(path)
    except AvaffectError as error:
        assert "\n" not in str(error)
        assert error.problem


@pytest.mark.parametrize("reader", READERS, ids=IDS)
def test_only_our_errors_come_out(reader: Reader, made: Any) -> None:
    path, data = made(reader)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def check(draw: st.DataObject) -> None:
        is_record = path.suffix == ".json" and draw.draw(st.booleans())
        path.write_bytes(draw.draw(changed_json(data) if is_record else changed_bytes(data)))
        read(reader, path)

    try:
        check()
    finally:
        path.write_bytes(data)


@pytest.mark.parametrize("reader", READERS, ids=IDS)
def test_what_is_no_file(reader: Reader, made: Any, tmp_path: Path, monkeypatch: Any) -> None:
    path, data = made(reader)
    path.unlink()
    try:
        read(reader, path)
        path.mkdir()
        read(reader, path)
        path.rmdir()
        path.symlink_to(path)
        read(reader, path)
        path.unlink()
    finally:
        path.write_bytes(data)

    def forbidden(*arguments: Any, **options: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", forbidden)
    read(reader, path)
    monkeypatch.undo()


def test_a_valid_file_of_each_is_read(made: Any) -> None:
    """Else the mutations would start from nothing."""
    # Films and nets are too large to be made here; some records want more than is beside them.
    partial = ("a.mp4", "head.pb", "net.onnx", "net.tflite", "th.json", "folds.json",
               "preprocess.json", "checkpoint.json", "network.safetensors")  # fmt: skip
    for reader in READERS:
        if reader.name not in partial:
            reader.read(made(reader)[0])


@settings(max_examples=40)
@given(st.text(max_size=40))
def test_any_change_of_a_recipe(value: str) -> None:
    try:
        change_recipe(parse_recipe(TREE, "here"), [f"train.lr={value}", f"name={value}"])
    except AvaffectError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("clip", ["one_person.mp4", "vfr_rotated.mov"])
def test_damaged_media(clip: str, sample: Any, tmp_path: Path) -> None:
    data = sample(clip).read_bytes()
    random = np.random.default_rng(0)
    for number in range(4):
        end = random.integers(len(data) // 2, len(data)) if number % 2 else len(data)
        changed = bytearray(data[:end])
        for at in random.integers(0, len(changed), 60):
            changed[at] = int(random.integers(256))
        path = tmp_path / f"{number}{Path(clip).suffix}"
        path.write_bytes(changed)
        try:
            for count, _ in enumerate(FrameReader(path)):
                if count > 10:
                    break
        except AvaffectError as error:
            assert "\n" not in str(error)
