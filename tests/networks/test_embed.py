"""What a trained backbone makes of the faces, in the feature store; and models that read it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avaffect.config import AnalysisConfig, PredictConfig
from avaffect.datasets.clip import Clip
from avaffect.errors import (
    CheckpointError,
    FeatureError,
    ModelUnavailableError,
    UnknownNameError,
    UsageError,
)
from avaffect.files.npy import ArraySpec
from avaffect.models.content import Content
from avaffect.networks import backbones
from avaffect.networks import embed as module
from avaffect.networks.checkpoint import load_checkpoint
from avaffect.networks.embed import array_name, embed, load_backbone
from avaffect.predicting.run import predict
from avaffect.preprocessing.run import NetsLoader, Preprocessed, preprocess
from avaffect.progress import Progress
from avaffect.recipes.encoders import Backbone
from avaffect.store.prepared import Prepared
from avaffect.store.provenance import provenance
from avaffect.store.subject import SubjectFeatures
from avaffect.store.writing import replace_arrays
from avaffect.training.facts import feature_settings

LIGHT = AnalysisConfig(encoders=("starter-2-face",))
NAME = "mobilenet_v2"
SEEN = np.array([not 14 <= frame < 24 for frame in range(40)])


@pytest.fixture
def copy(whole: Preprocessed, tmp_path: Path):
    """The preprocessed gap clip: 40 frames, without a face in 14 to 23."""
    return shutil.copytree(whole.folder.root, tmp_path / "copy")


def stored(root, subject="gap"):
    return SubjectFeatures.open(root / "features" / subject)


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def beside(root, name):
    """A second subject of that name, like the first."""
    shutil.copytree(root / "features/gap", root / "features" / name)
    shutil.copytree(root / "cropped_aligned/gap", root / "cropped_aligned" / name)
    facts = json.loads((root / "features" / name / "provenance.json").read_text())
    (root / "features" / name / "provenance.json").write_text(
        json.dumps(facts | {"subject": name})
    )
    Prepared(root).update(subjects=["gap", name])


def test_the_encoder_alone_looks_at_each_picture(copy, looking) -> None:
    before = stored(copy)
    arrays = {name: before.array(name) for name in before.names}
    events = []
    place = looking()
    done = embed(copy, load_backbone(place), on_event=events.append)
    assert (done.name, done.subjects, done.done) == (NAME, ("gap",), ("gap",))
    assert (done.frames, done.faces, done.folder) == (40, 30, Prepared(copy))
    found = stored(copy)
    values = found.array(NAME)
    assert (values.shape, values.dtype) == ((40, 1280), np.float16)
    np.testing.assert_array_equal(np.isnan(values).all(1), ~SEEN)
    assert not np.isnan(values[SEEN]).any()
    _, network = load_checkpoint(place)
    files = sorted((copy / "cropped_aligned/gap").iterdir())
    pictures = np.stack([cv2.imread(str(file))[..., ::-1] for file in files])
    with torch.inference_mode():
        expected = network.branches["eye"].encoder.net(torch.from_numpy(pictures.copy()))
    np.testing.assert_allclose(values[SEEN], expected.numpy(), rtol=2e-3, atol=1e-3)
    assert expected.std(0).max() > 0.01
    # All else is as it was.
    assert found.names == tuple(sorted((*arrays, NAME)))
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.array(name), array)
    assert {name: found.keys[name] for name in before.keys} == before.keys
    assert found.provenance["video"] == before.provenance["video"]
    assert events[-1] == Progress("embed", 40, 40, finished=True)


def test_only_what_another_backbone_made_is_made_again(copy, looking) -> None:
    place = looking()
    embed(copy, load_backbone(place))
    first, before = stored(copy).array(NAME), stamps(copy)
    again = embed(copy, load_backbone(place))
    assert (again.done, stamps(copy)) == ((), before)
    other = load_backbone(looking("other", seed=1))
    assert embed(copy, other).done == ("gap",)
    assert not np.array_equal(stored(copy).array(NAME)[SEEN], first[SEEN])
    embed(copy, load_backbone(place), "mine")
    np.testing.assert_array_equal(stored(copy).array("mine"), first)
    assert NAME in stored(copy).names


def test_preprocessing_again_keeps_it(copy, looking, gap_clip: Path, nets: NetsLoader) -> None:
    embed(copy, load_backbone(looking()))
    values = stored(copy).array(NAME)
    assert preprocess(gap_clip, copy, LIGHT, nets=nets).done == ()
    more = replace(LIGHT, encoders=("fer",))
    assert preprocess(gap_clip, copy, more).done == ("fer",)
    assert set(stored(copy).names) >= {"fer", "starter-2-face", NAME}
    np.testing.assert_array_equal(stored(copy).array(NAME), values)
    assert embed(copy, load_backbone(looking())).done == ()


def test_other_pictures_are_looked_at_again(
    copy, looking, gap_clip: Path, no_nets: NetsLoader
) -> None:
    embed(copy, load_backbone(looking()))
    small = replace(LIGHT, faces=replace(LIGHT.faces, crop_size=64))
    assert preprocess(gap_clip, copy, small, nets=no_nets).done == ("crops",)
    with pytest.raises(FeatureError, match=r"64 pixels.*trained on 112.*crop_size=112"):
        embed(copy, load_backbone(looking()))
    assert embed(copy, load_backbone(looking(side=64))).done == ("gap",)


def test_in_pieces(copy, looking, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = load_backbone(looking())
    embed(copy, backbone, "whole")
    asked = []

    def counting(self, pictures, seen, call=module.TrainedBackbone.__call__):
        asked.append(len(pictures))
        return call(self, pictures, seen)

    monkeypatch.setattr(module.TrainedBackbone, "__call__", counting)
    monkeypatch.setattr(module, "_BYTES", 112 * 112 * 3 * 7)
    embed(copy, backbone, "pieces")
    assert asked == [7] * 5 + [5]
    np.testing.assert_allclose(
        stored(copy).array("pieces"), stored(copy).array("whole"), rtol=2e-3, atol=1e-3
    )


def test_it_goes_on_with_the_next_subject(copy, looking, monkeypatch: pytest.MonkeyPatch) -> None:
    beside(copy, "other")

    def stop(event):
        if event.done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(copy, load_backbone(looking()), on_event=stop)
    assert NAME in stored(copy).names
    assert NAME not in stored(copy, "other").names
    assert not [path for path in copy.rglob("*") if ".tmp" in path.name]
    assert embed(copy, load_backbone(looking())).done == ("other",)
    np.testing.assert_array_equal(stored(copy).array(NAME), stored(copy, "other").array(NAME))


def test_what_is_no_number_is_not_stored(copy, looking) -> None:
    backbone = load_backbone(looking())
    before = stamps(copy)
    for value in (float("nan"), 1e6):
        with torch.no_grad():
            backbone.encoder.net.stages["head"][-1][1].bias.fill_(value)
            # Beyond ReLU6.
            backbone.encoder.net.stages["head"][-1][-1] = torch.nn.Identity()
        with pytest.raises(CheckpointError, match="no numbers, or beyond what float16 holds"):
            embed(copy, backbone)
    assert stamps(copy) == before


def test_names(copy, looking) -> None:
    backbone = load_backbone(looking())
    lite = replace(backbone, net="efficientnet-lite0")
    assert array_name(backbone) == NAME
    assert array_name(lite) == "efficientnet-lite0-eye"
    with pytest.raises(UsageError, match=r"calls an array of its own.*name=\.\.\."):
        array_name(replace(lite, branch=""))
    for name in ("faces", "audio", "voice", "face_pose", "fer", "has_face"):
        with pytest.raises(UsageError, match=f"'{name}' is what `avaffect preprocess` calls"):
            array_name(backbone, name)
    for name in ("", "__metadata__", "a b", "../a", "1", "é", "a" * 101, "a\n"):
        with pytest.raises(UsageError, match="cannot be called"):
            array_name(backbone, name)


def test_an_array_of_somebody_else_is_left_alone(copy, looking) -> None:
    features = stored(copy)
    about = {name: features.provenance[name] for name in provenance("", "", {}, {})}
    own = np.zeros((40, 1), np.float32)
    replace_arrays(features.folder, {NAME: ArraySpec((1,), "float32")}, [{NAME: own}], about,
                   {NAME: "mine"})  # fmt: skip
    with pytest.raises(UsageError, match=f"has an array '{NAME}' that no backbone made"):
        embed(copy, load_backbone(looking()))
    np.testing.assert_array_equal(stored(copy).array(NAME), own)


def test_folders_without_all_pictures(copy, looking) -> None:
    backbone = load_backbone(looking())
    with pytest.raises(FeatureError, match=r'by mesh.*by fan.*aligner="fan"'):
        embed(copy, replace(backbone, aligner="fan"))
    shutil.rmtree(copy / "cropped_aligned")
    with pytest.raises(FeatureError, match="lacks pictures"):
        embed(copy, backbone)
    with pytest.raises(FeatureError, match="no finished preprocessing"):
        embed(copy / "features", backbone)


def test_an_unfinished_exchange_of_pictures(copy, looking) -> None:
    Prepared(copy).update(crops=None)
    with pytest.raises(FeatureError, match=r"lacks pictures.*preprocess the video again"):
        embed(copy, load_backbone(looking()))


EYE = {"features": ["faces"], "encoder": {"kind": "backbone", "net": NAME, "size": 32}}


def test_which_branch(looking) -> None:
    both = {"left": EYE, "right": EYE}
    place = looking(branches=both)
    with pytest.raises(UsageError, match='several backbones: choose branch="left" or branch="r'):
        load_backbone(place)
    left, right = (load_backbone(place, name) for name in both)
    assert (left.branch, right.branch, left.net) == ("left", "right", NAME)
    assert left.model != right.model
    first, second = (next(iter(branch.encoder.parameters())) for branch in (left, right))
    assert not torch.equal(first, second)
    with pytest.raises(UnknownNameError, match="no branch with a backbone is called 'lef'"):
        load_backbone(place, "lef")
    ear = {"ear": {"features": ["face_pose"], "layers": [{"kind": "gru", "units": [4]}]}}
    with pytest.raises(CheckpointError, match=r"no branch of .* has a backbone"):
        load_backbone(looking(branches=ear))


def test_the_weights_of_imagenet(copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError, match=NAME):
        load_backbone(NAME)
    with pytest.raises(UsageError, match="no checkpoint and has no branches"):
        load_backbone(NAME, "eye")
    torch.manual_seed(3)
    whole = backbones._whole(backbones.BACKBONES[NAME])
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    content = Content(tmp_path / "weights.pth", (tmp_path / "weights.pth").read_bytes())
    for place in ("avaffect.models.content", "avaffect.networks.backbones"):
        monkeypatch.setattr(f"{place}.model_content", lambda name, on_event: content)
    backbone = load_backbone(NAME)
    assert (backbone.branch, backbone.side, backbone.weights) == ("", None, "b0353104")
    expected = backbones.BackboneEncoder(Backbone(net=NAME))
    backbones.load_pretrained(expected)
    pictures = torch.randint(0, 256, (1, 2, 48, 48, 3), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(
            backbone.encoder(pictures, torch.ones(1, 2, dtype=torch.bool))[0],
            expected.eval()(pictures[0]),
        )
    # A folder of that name is a checkpoint's.
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).mkdir()
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_backbone(NAME)


def test_training_knows_which_backbone(copy, looking) -> None:
    embed(copy, load_backbone(looking()))
    weights = json.loads((looking() / "best/checkpoint.json").read_text())["sha256"]
    clip = Clip("gap", "gap", stored(copy))
    model = f"{NAME}:eye:{weights}"
    assert feature_settings([clip], pytest.fail, (NAME,))["backbones"] == {NAME: model}
    assert "backbones" not in feature_settings([clip], pytest.fail, ("starter-2-face",))


@pytest.fixture
def reader(copy, looking):
    """The run of a model that was trained on the array, as far as its checkpoint says."""
    embed(copy, load_backbone(looking()))
    facts = feature_settings([Clip("gap", "gap", stored(copy))], pytest.fail, (NAME,))
    ear = {"features": [NAME], "layers": [{"kind": "gru", "units": [4]}], "normalise": "none"}
    return looking("reader", branches={"b": ear}, width=1280, features=facts)


def test_a_model_that_reads_it_predicts_on_the_folder(copy, reader) -> None:
    config = PredictConfig(missing="invalid")
    result = predict(copy, "va", config=config, checkpoint=reader, device="cpu")
    va = result["gap"].va[:, 0]
    np.testing.assert_array_equal(np.isfinite(va), SEEN)
    assert len(np.unique(va[SEEN])) > 5


def test_of_a_video_it_says_what_to_do(reader, gap_clip: Path) -> None:
    with pytest.raises(UsageError) as refused:
        predict(gap_clip, "va", checkpoint=reader, device="cpu")
    text = str(refused.value)
    assert f"reads '{NAME}', which is not made from a video in one go" in text
    steps = ["`avaffect preprocess`", f'`avaffect features` with name="{NAME}"', "on the folder"]
    assert all(step in text for step in steps)


def test_the_array_must_be_there_and_by_the_same_backbone(
    copy, reader, whole: Preprocessed, looking
) -> None:
    with pytest.raises(FeatureError, match=rf'lack {NAME}.*name="{NAME}"'):
        predict(whole.folder.root, "va", checkpoint=reader, device="cpu")
    beside(copy, "other")
    Prepared(copy).update(subjects=["other"])
    embed(copy, load_backbone(looking("second", seed=1)))
    Prepared(copy).update(subjects=["gap", "other"])
    with pytest.raises(FeatureError, match=rf"'{NAME}' was made by another backbone .*:eye:"):
        predict(copy, "va", checkpoint=reader, device="cpu")
    embed(copy, load_backbone(looking()))
    assert predict(copy, "va", checkpoint=reader, device="cpu").subjects == ("gap", "other")


@pytest.mark.parametrize("backbones", [3, None, {NAME: 5}, {NAME: None}, [NAME]])
def test_damaged_facts(backbones, copy, looking) -> None:
    ear = {"features": [NAME], "layers": [{"kind": "gru", "units": [4]}], "normalise": "none"}
    facts = {"backbones": backbones}
    place = looking("damaged", branches={"b": ear}, width=1280, features=facts)
    embed(copy, load_backbone(looking()))
    with pytest.raises((CheckpointError, FeatureError)):
        predict(copy, "va", checkpoint=place, device="cpu")


def test_what_a_gpu_does_not_hold_is_looked_at_in_parts(
    looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = load_backbone(looking())
    pictures = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), np.uint8)
    seen = np.array([True, False, True, True, True])
    whole = backbone(pictures, seen)
    real = backbone.encoder.forward

    def forward(faces: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        if faces.shape[1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(faces, there)

    monkeypatch.setattr(backbone.encoder, "forward", forward)
    np.testing.assert_allclose(backbone(pictures, seen), whole, rtol=0.01, atol=1e-3)
