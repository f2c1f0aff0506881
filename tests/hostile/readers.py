"""Every reader of outside data that is no film: what makes a valid file, and what reads it.

Who adds a reader adds a line. `mutations` changes the files, `watch` looks on while they are
read; `media` has the films and sounds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fixtures.public_sets import afewva, bp4d, rafdb
from hostile.makers import (
    ABOUT,
    ARRAY,
    AU,
    MP4,
    PREDICTED,
    PREPARED,
    RUN,
    TREE,
    make_bundle,
    make_checkpoint,
    make_drawn,
    make_exported,
    make_films,
    make_kept,
    make_net,
    make_own,
    make_pictures,
    make_seal,
    make_spool,
    make_store,
    make_table,
    make_truth,
    make_wav,
    make_zip,
    parquet,
    picture,
    record,
    state_parts,
    text,
)
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
from avaffect.datasets.check import check
from avaffect.datasets.columns import parse_columns
from avaffect.datasets.folds import Folds
from avaffect.datasets.own import load_own
from avaffect.datasets.row_files import RowFile
from avaffect.datasets.sets.registry import SETS
from avaffect.datasets.sets.sample import Log
from avaffect.datasets.tables import TableFeatures, read_any
from avaffect.drawing.subjects import load_table
from avaffect.ensemble.member_predictions import _read as read_kept
from avaffect.ensemble.members import _reason
from avaffect.errors import ModelError
from avaffect.faces.pose import HeadModel
from avaffect.files.atomic import write_json
from avaffect.files.ours import read_claims, write_claims
from avaffect.files.outside import reading
from avaffect.files.picture_file import picture_size, read_picture
from avaffect.files.seal import read_seal
from avaffect.files.table import read_about, read_table
from avaffect.media.container import open_container
from avaffect.media.foreign import describe
from avaffect.media.frames import FrameReader
from avaffect.media.numbered import video_of_frames
from avaffect.media.sound import read_blocks
from avaffect.media.stills import stills
from avaffect.media.tracks import choose_track, pieces
from avaffect.metrics.pairs import evaluate
from avaffect.models.content import Content
from avaffect.models.onnx_graph import read_onnx
from avaffect.models.session import OnnxNet, TfliteNet, read_bundle
from avaffect.models.tflite_graph import read_tflite
from avaffect.networks.checkpoint import load_checkpoint
from avaffect.networks.checkpoint import read_checkpoint as read_known
from avaffect.networks.exported import EXPORTED, load_exported
from avaffect.predicting.outputs import Outputs
from avaffect.predicting.read_back import open_predictions
from avaffect.predicting.settings import with_checkpoint
from avaffect.predicting.validated import read_validated
from avaffect.predictions.postprocess import Postprocess, load_postprocess
from avaffect.predictors.joined import Joined
from avaffect.recipes.ensemble_recipe import Average, load_ensemble
from avaffect.recipes.library import load_recipe, parse_recipe, to_yaml
from avaffect.reporting.footage import find_footage
from avaffect.reporting.series import cells_for, pack_table
from avaffect.reporting.summary import write_summary
from avaffect.reporting.truth import open_annotations
from avaffect.sound.mfcc import audio_features
from avaffect.store.prepared import Prepared, source_name
from avaffect.store.spool import Spool
from avaffect.store.subject import SubjectFeatures
from avaffect.training.run import read_run
from avaffect.training.state import load_state, save_state
from avaffect.transcripts.read import read_transcript, read_turns


def content(path: Path) -> Content:
    """As `models.content` reads it, checked by nothing."""
    with reading(path, ModelError):
        return Content(path, path.read_bytes())


class Reader(NamedTuple):
    """A file, what makes it and what reads it; ``make`` may write other files beside it."""

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], Any]

    def __str__(self) -> str:
        return self.name

    def made_in(self, folder: Path) -> tuple[Path, bytes]:
        """The path of a valid file in ``folder``, which is empty, and its content."""
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.make(path)
        return path, path.read_bytes()

    def root(self, path: Path) -> Path:
        """The folder that `made_in` was given."""
        return path.parents[len(Path(self.name).parts) - 1]


def public(name: str, above: int) -> Callable[[Path], Any]:
    """Reads the public set ``name``, whose folder lies so many above that of the file."""
    return lambda path: [*SETS[name].read(path.parents[above], Log())]


def read_predictions(path: Path) -> None:
    found = open_predictions(path.parents[1], "abaw5")
    for subject in found.subjects:
        found.times(subject)
        found.read(subject)


def converted(path: Path) -> None:
    for form in ("eaf", "jsonl", "bids", "openface"):
        convert(path, form)


def read_store(path: Path) -> None:
    subject = SubjectFeatures.open(path.parent)
    subject.times, subject.present, subject.confidence, subject.table()
    list(subject.chunks())
    SubjectFeatures.open(path.parent, mapped=True).array("net", 0, 2)


def read_checkpoint(path: Path) -> None:
    load_checkpoint(path.parent)
    with_checkpoint(PredictConfig(), path.parent)


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


def submission(path: Path) -> None:
    check_submission(path, "va", "abaw5")


def annotated(task: str) -> Callable[[Path], Any]:
    return lambda path: read_annotations(path, task, "abaw5")


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


def read_exported(path: Path) -> None:
    """As of somebody who has the record fit his net."""
    checkpoint = read_known(path.parent)
    sha256 = hashlib.sha256(read_model(path)).hexdigest()
    facts = {"weights": checkpoint.sha256, "sha256": sha256}
    write_json(path.parent / EXPORTED, facts)
    load_exported(path.parent, checkpoint)


def run_net(path: Path) -> None:
    net = OnnxNet(read_model(path))
    if len(net.input_names) == 1:
        with reading(path, ModelError):
            net(np.ones((1, 3), np.float32))


def read_pictures(path: Path) -> None:
    made = path.parents[1] / f"made{path.suffix}.mov"
    made.unlink(missing_ok=True)
    list(FrameReader(video_of_frames(path.parent, made, 25)))


def read_own(path: Path) -> None:
    columns = ("time=time", "valence=valence", "arousal=arousal", "expression=expression",
               "AU1=AU1", "features=x")  # fmt: skip
    load_own(path.parents[1] / "values", path.parent, parse_columns(columns))


def read_truth(path: Path) -> None:
    table = load_table("a", path.parents[1] / "good.parquet")
    for subject in open_annotations(path.parent).values():
        subject(table)


def read_drawn(path: Path) -> None:
    table = load_table("a", path)
    write_summary([table], path.with_name("summary.csv"))
    pack_table(table, cells_for(len(table.times), 1))


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
    Reader("t.srt", text("1", "00:00:01,000 --> 00:00:02,000", "<i>a</i>"), read_transcript),
    Reader("t.vtt", text("WEBVTT", "", "00:01.000 --> 00:02.000", "<v A>a"), read_transcript),
    Reader("t.TextGrid", text('"ooTextFile"', '"TextGrid"', "0 1 <exists> 1", '"IntervalTier"',
                              '"A" 0 1 1', '0 1 "a""b"'), read_transcript),
    Reader("t.rttm", text("SPEAKER a 1 0.5 1 <NA> <NA> A <NA> <NA>"), read_turns),
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
    Reader("made/net.onnx", make_net, run_net),
    Reader("torch/net.onnx", make_net, lambda path: read_onnx(read_model(path))),
    Reader("torch/net.tflite", lambda path: path.write_bytes(bytes(4) + b"TFL3" + bytes(64)),
           lambda path: read_tflite(read_model(path))),
    Reader("run/network.onnx", make_exported, read_exported),
    Reader("numbered/1.png", make_pictures, read_pictures),
    Reader("numbered/1.jpg", make_pictures, read_pictures),
    Reader("labels/a.csv", make_own, read_own),
    Reader("truth/a.csv", make_truth, read_truth),
    Reader("drawn.parquet", make_drawn, read_drawn),
    Reader("films/a.parquet", make_films,
           lambda path: find_footage(read_about(path), (), [path.parent])),
    Reader("scored/a.txt", text("valence,arousal", "0.5,0.1", "-5,-5"),
           lambda path: evaluate(path, path, "va", "abaw5")),
    Reader("checked/annotations/VA_Estimation_Challenge/Train_Set/a.txt",
           text("valence,arousal", "0.5,0.1", "-5,-5"),
           lambda path: check(path.parents[3], "abaw5")),
    Reader("validated.parquet", make_drawn,
           lambda path: read_validated("a", path, {"va": ("valence", "arousal")})),
    Reader("kept.safetensors", make_kept, lambda path: read_kept(path, "0", ["va"])),
    Reader("net.tflite", lambda path: path.write_bytes(bytes(64)), TfliteNet),
]  # fmt: skip
