"""Valid files of every form that avaffect reads, as small as they can be."""

from __future__ import annotations

import hashlib
import json
import shutil
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from fixtures.facts import about_of
from fixtures.spooled import append_face
from fixtures.tables import columns_of
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

from avaffect.files.atomic import write_json
from avaffect.files.npy import ArraySpec
from avaffect.files.table import write_table
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.predictions.prediction import Prediction
from avaffect.recipes.library import parse_recipe
from avaffect.store.provenance import provenance
from avaffect.store.spool import Spool
from avaffect.store.subject import SpooledSubject
from avaffect.store.writing import write_subject
from avaffect.training.run import DataConfig, RunConfig

AU = "0,1,0,0,0,0,0,0,0,0,0,0"


TREE = {
    "name": "small",
    "branches": {"voice": {"modality": "audio", "features": ["audio"],
                           "layers": [{"kind": "gru", "units": [4]}]}},
    "tasks": {"va": {"terms": {"ccc": 1}}},
}  # fmt: skip


def text(*lines: str) -> Callable[[Path], object]:
    return lambda path: path.write_text("".join(f"{line}\n" for line in lines))


def record(value: Any) -> Callable[[Path], None]:
    return lambda path: write_json(path, value)


def make_seal(path: Path) -> None:
    path.with_suffix("").write_bytes(b"net")
    path.write_text(f"{hashlib.sha256(b'net').hexdigest()}\n", encoding="utf-8")


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


def state_parts() -> dict[str, Any]:
    return {"net": torch.nn.Linear(2, 2)}


def make_bundle(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net.tflite", bytes(100))


def parquet(path: Path) -> None:
    columns = {"x": np.arange(9.0), "name": np.array(["a", None, "b"] * 3, object)}
    write_table(path, columns, {})


def picture(path: Path) -> None:
    cv2.imwrite(str(path), np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


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


def make_net(path: Path) -> None:
    """A net of two layers that adds and multiplies."""
    value, node = helper.make_tensor_value_info, helper.make_node
    weights = numpy_helper.from_array(np.ones((3, 2), np.float32), "weights")
    graph = helper.make_graph(
        [node("Gemm", ["voice", "weights"], ["y"]), node("Softmax", ["y"], ["va"])],
        "net",
        [value("voice", TensorProto.FLOAT, ["B", 3])],
        [value("va", TensorProto.FLOAT, ["B", 2])],
        [weights],
    )
    net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(net.SerializeToString())


def make_exported(path: Path) -> None:
    make_checkpoint(path)
    make_net(path)


def make_pictures(path: Path) -> None:
    for number in (1, 2):
        picture(path.with_name(f"{number}{path.suffix}"))


def make_own(path: Path) -> None:
    rows = "time,valence,arousal,expression,AU1\n0,.1,.2,Anger,1\n0.04,,,,\n"
    path.write_text(rows, encoding="utf-8")
    values = path.parents[1] / "values"
    values.mkdir(exist_ok=True)
    values.joinpath(path.name).write_text("time,x\n0,1\n0.04,2\n", encoding="utf-8")


def make_truth(path: Path) -> None:
    make_own(path)
    make_drawn(path.parents[1] / "good.parquet")


def make_drawn(path: Path) -> None:
    write_table(path, columns_of(np.arange(4) / 25), about_of("a"))


def make_kept(path: Path) -> None:
    about = {"sha256": "0", "clips": json.dumps([["a"], [2]])}
    path.write_bytes(save({"0/va": np.zeros((2, 2), np.float32)}, about))


def make_films(path: Path) -> None:
    make_drawn(path)
    path.with_name("gone.mp4").write_bytes(b"film")
