"""Ready-made encoders by name: the real libraries with small random nets, and no network."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fixtures.prepared import RATE, make_prepared

from avaffect.errors import (
    CheckpointError,
    InputNotFoundError,
    MissingPackageError,
    ModelError,
    UnknownNameError,
    UsageError,
)
from avaffect.files.hashing import file_sha256
from avaffect.networks import picture_encoders
from avaffect.networks.encode import encode, encoder_name, load_encoder
from avaffect.networks.hub import UNKNOWN_LICENCE, library
from avaffect.networks.sound_encoders import chosen
from avaffect.store.record import Sound
from avaffect.store.subject import SubjectFeatures

pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")
FRAMES = 40
TIMM = "test_vit.r160_in1k"
WAVES = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24,
    "conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (20, 16),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is fetched, and the hubs' caches are empty."""
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def timm_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights in place of the hub's, which are asked for by their true place."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(1)
    path = tmp_path / "model.safetensors"
    save_file(timm.create_model(TIMM.partition(".")[0], pretrained=False).state_dict(), path)

    def found(repository: str, file: str) -> Path:
        assert (repository, file) == (f"timm/{TIMM}", "model.safetensors")
        return path

    monkeypatch.setattr(picture_encoders, "hub_file", found)
    return path


@pytest.fixture
def voiced(tmp_path: Path) -> Any:
    """A preprocessed folder with sound, silent in the frames 10 to 14, and 44 frames long."""
    folder = make_prepared(tmp_path / "clip", FRAMES)
    seconds = FRAMES / RATE
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * 16000)).astype(np.float32)
    soundfile.write(folder.wav, noise, 16000)
    sound = Sound(samples=len(noise), sample_rate=16000, duration_s=seconds, start_s=0.0,
                  end_s=seconds, errors=0)  # fmt: skip
    folder.update(sound=sound, wav="k")
    return folder


def made(folder: Any, name: str) -> tuple[np.ndarray, dict[str, Any]]:
    place = folder.features("clip")
    about = json.loads((place / "provenance.json").read_text())["arrays"][name]["about"]
    return SubjectFeatures.open(place).array(name), about


def test_timm_on_pictures(timm_file: Path) -> None:
    encoder = load_encoder(f"timm:{TIMM}")
    assert (encoder.side, encoder.size, encoder_name(encoder)) == (160, 64, TIMM)
    assert encoder.weights.sha256 == file_sha256(timm_file)
    assert encoder.weights.licence == "apache-2.0"
    pictures = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), np.uint8)
    seen = np.array([True, False, True, True, False])
    found = encoder(pictures, seen)
    assert (found.shape, found.dtype) == ((5, 64), np.float16)
    np.testing.assert_array_equal(np.isnan(found).all(1), ~seen)
    # As the library itself says it, of the picture brought to its size.
    import timm

    net = timm.create_model("test_vit", pretrained=False, num_classes=0).eval()
    from safetensors.torch import load_file

    net.load_state_dict(load_file(timm_file), strict=False)
    x = torch.from_numpy(pictures[:1]).permute(0, 3, 1, 2).float() / 255
    x = torch.nn.functional.interpolate(x, (160, 160), mode="bilinear", antialias=True)
    with torch.inference_mode():
        expected = net((x - 0.5) / 0.5)[0].numpy()
    np.testing.assert_allclose(found[0], expected, rtol=1e-2, atol=1e-2)
    smaller = load_encoder(f"timm:{TIMM}", size=96)
    assert (smaller.side, smaller.size, smaller.model != encoder.model) == (96, 64, True)


def test_timm_into_the_store(timm_file: Path, whole: Any, tmp_path: Path) -> None:
    root = shutil.copytree(whole.folder.root, tmp_path / "copy")
    encoder = load_encoder(f"timm:{TIMM}", size=48)
    done = encode(root, encoder, "vit")
    assert (done.done, done.frames) == (("gap",), 40)
    values = SubjectFeatures.open(root / "features/gap").array("vit")
    np.testing.assert_array_equal(np.isnan(values).all(1), [14 <= n < 24 for n in range(40)])
    about = json.loads((root / "features/gap/provenance.json").read_text())["arrays"]["vit"]
    assert about["about"] == {
        "kind": "encoder", "name": f"timm:{TIMM}", "sha256": file_sha256(timm_file),
        "licence": "apache-2.0", "size": 48,
    }  # fmt: skip
    assert encode(root, encoder, "vit").done == ()
    assert encode(root, load_encoder(f"timm:{TIMM}", size=64), "vit").done == ("gap",)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bundle of torchaudio's own kind, its weights in torch's cache."""
    import torchaudio

    size, layers = 12, 3
    params = {
        "extractor_mode": "group_norm", "extractor_conv_layer_config": [(8, 10, 20), (8, 8, 16)],
        "extractor_conv_bias": False, "encoder_embed_dim": size, "encoder_projection_dropout": 0.0,
        "encoder_pos_conv_kernel": 4, "encoder_pos_conv_groups": 2, "encoder_num_layers": layers,
        "encoder_num_heads": 2, "encoder_attention_dropout": 0.0,
        "encoder_ff_interm_features": 16, "encoder_ff_interm_dropout": 0.0,
        "encoder_dropout": 0.0, "encoder_layer_norm_first": False, "encoder_layer_drop": 0.0,
        "aux_num_out": None,
    }  # fmt: skip
    torch.manual_seed(2)
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    net = torchaudio.models.wav2vec2_model(**params)
    torch.save(net.state_dict(), folder / "tiny.pth")
    kind = torchaudio.pipelines.Wav2Vec2Bundle
    tiny = kind("tiny.pth", params, 16000, False, "Wav2Vec2")
    monkeypatch.setattr(torchaudio.pipelines, "HUBERT_BASE", tiny)
    return folder / "tiny.pth"


def test_torchaudio_on_the_frames_clock(
    bundle: Path, voiced: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder("torchaudio:HUBERT_BASE", layers="last:2")
    done = encode(voiced.root, encoder)
    assert (done.name, done.done) == ("HUBERT_BASE", ("clip",))
    values, about = made(voiced, "HUBERT_BASE")
    assert (values.shape, values.dtype) == ((FRAMES, 12), np.float16)
    assert np.isfinite(values).all()
    assert about == {
        "kind": "encoder", "name": "torchaudio:HUBERT_BASE", "sha256": file_sha256(bundle),
        "licence": UNKNOWN_LICENCE, "layers": "last:2",
    }  # fmt: skip
    # The mean of two layers of the whole sound, at each frame's time.
    sound, _ = soundfile.read(voiced.wav, dtype="float32")
    with torch.inference_mode():
        layers = encoder.states(torch.from_numpy(sound)[None])
    states = ((layers[-1] + layers[-2]) / 2)[0].numpy()
    step = len(sound) / 16000 / len(states)
    at = np.clip(np.arange(FRAMES) / RATE / step - 0.5, 0, len(states) - 1)
    expected = np.stack([np.interp(at, np.arange(len(states)), row) for row in states.T], axis=1)
    np.testing.assert_allclose(values, expected, rtol=1e-2, atol=1e-2)
    assert encode(voiced.root, encoder).done == ()
    assert encode(voiced.root, replace(encoder, layers="1")).done == ("clip",)


def test_sound_in_pieces(bundle: Path, voiced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a piece is heard at a time, and every frame is in one."""
    from avaffect.networks import sound_encoders as module

    monkeypatch.setattr(module, "PIECE_S", 0.5)
    monkeypatch.setattr(module, "MARGIN_S", 0.1)
    encoder = load_encoder("torchaudio:HUBERT_BASE")
    heard: list[int] = []

    def listen(sound: torch.Tensor) -> Any:
        heard.append(sound.shape[1])
        return encoder.states(sound)

    times = np.arange(FRAMES + 4) / RATE
    parts = list(replace(encoder, states=listen).vectors(voiced.wav, times))
    assert max(heard) <= 0.7 * 16000
    assert [len(part) for part in parts] == [13, 13, 13, 5]
    found = np.concatenate(parts)
    # Behind the end of the sound there is nothing.
    np.testing.assert_array_equal(np.isnan(found).all(1), times > FRAMES / RATE)


def test_frames_without_sound_are_missing(bundle: Path, voiced: Any) -> None:
    place = voiced.features("clip")
    old = SubjectFeatures.open(place)
    from avaffect.store.writing import replace_arrays

    silent = np.arange(FRAMES) < 5
    kept = {
        name: old.provenance[name] for name in ("video", "configuration", "models", "versions")
    }
    replace_arrays(place, {"has_sound": old.specs["has_sound"]}, [{"has_sound": ~silent}], kept,
                   {"has_sound": "other"})  # fmt: skip
    encode(voiced.root, load_encoder("torchaudio:HUBERT_BASE"))
    np.testing.assert_array_equal(np.isnan(made(voiced, "HUBERT_BASE")[0]).all(1), silent)


def vision(folder: Path) -> Any:
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    return transformers.Dinov2Model(config)


def clip(folder: Path) -> Any:
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    config = transformers.CLIPConfig(
        text_config=small | {"vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1},
        vision_config=small | {"image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    return transformers.CLIPModel(config)


@pytest.mark.parametrize(("make", "side"), [(vision, 28), (clip, 32)])
def test_vision_models_of_transformers(
    make: Callable[[Path], Any], side: int, tmp_path: Path
) -> None:
    folder = tmp_path / "own-net"
    make(folder).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    encoder = load_encoder(f"hf:{folder}")
    assert (encoder.side, encoder.size, encoder.weights.licence) == (side, 16, "mit")
    assert encoder_name(encoder) == "own-net"
    pictures = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    found = encoder(pictures, np.array([True, True, False]))
    assert np.isfinite(found[:2]).all() and np.isnan(found[2]).all()
    assert not np.array_equal(found[0], found[1])


def test_audio_models_of_transformers(voiced: Any, tmp_path: Path) -> None:
    folder = tmp_path / "tiny-wavlm"
    transformers.WavLMModel(transformers.WavLMConfig(**WAVES)).save_pretrained(folder)
    encoder = load_encoder(f"hf:{folder}", layers="2")
    encode(voiced.root, encoder)
    values, about = made(voiced, "tiny-wavlm")
    assert (values.shape, np.isfinite(values).all()) == ((FRAMES, 16), True)
    assert (about["layers"], about["licence"]) == ("2", UNKNOWN_LICENCE)


def test_weights_that_are_no_safetensors(tmp_path: Path) -> None:
    net = vision(tmp_path)
    net.save_pretrained(tmp_path / "net")
    (tmp_path / "net/model.safetensors").unlink()
    torch.save(net.state_dict(), tmp_path / "net/pytorch_model.bin")
    with pytest.raises(ModelError, match="no weights in safetensors"):
        load_encoder(f"hf:{tmp_path / 'net'}")


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("timm:nothing_like_it", {}, ModelError, "timm has no weights of 'nothing_like_it'"),
        ("torchaudio:HUBERT_BAS", {}, UnknownNameError, "did you mean 'HUBERT_BASE'"),
        ("torchaudio:HUBERT_LARGE", {}, ModelError, "AVAFFECT_OFFLINE forbids"),
        ("hf:nobody/nothing", {}, ModelError, "are not in your cache: AVAFFECT_OFFLINE forbids"),
        # What can only be a folder is not looked for at the hub.
        ("hf:/no/such/folder", {}, InputNotFoundError, "there is no folder '/no/such/folder'"),
        ("hf:./nets/mine", {}, InputNotFoundError, "there is no folder"),
        ("hf:~/nets", {}, InputNotFoundError, "there is no folder"),
        ("hf:C:\\nets", {}, InputNotFoundError, "there is no folder"),
        ("torchaudio:HUBERT_BASE", {"size": 3}, UsageError, "hears sound, which has no size"),
        (f"timm:{TIMM}", {"layers": "2"}, UsageError, "looks at pictures"),
        ("torchaudio:HUBERT_BASE", {"layers": "last"}, UsageError, "'last' is no layer"),
    ],
)
def test_what_is_not_to_be_had(
    name: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        load_encoder(name, **options)


def test_layers() -> None:
    layers = [torch.full((1, 2, 3), float(n)) for n in (1, 2, 6)]
    assert [float(chosen(layers, which).mean()) for which in (None, "2", "last:2")] == [6, 2, 4]
    with pytest.raises(UsageError, match="there is no layer 4: the encoder has 3"):
        chosen(layers, "last:4")


def test_what_is_no_number_is_not_stored(timm_file: Path) -> None:
    encoder = load_encoder(f"timm:{TIMM}", size=48)
    broken = replace(encoder, net=lambda x: torch.full((len(x), 64), 1e6))
    with pytest.raises(CheckpointError, match="beyond what float16 holds"):
        broken(np.zeros((1, 48, 48, 3), np.uint8), np.array([True]))


def test_a_library_that_is_not_installed() -> None:
    with pytest.raises(MissingPackageError, match=r"pip install 'avaffect\[features\]'"):
        library("no_such_library_at_all")


def test_faces_that_a_gpu_does_not_hold_are_looked_at_in_parts(timm_file: Path) -> None:
    encoder = load_encoder(f"timm:{TIMM}", size=48)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), np.uint8)
    seen = np.array([True, False, True, True, True])

    def small(faces: torch.Tensor) -> torch.Tensor:
        if len(faces) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return encoder.net(faces)

    whole, parts = encoder(pictures, seen), replace(encoder, net=small)(pictures, seen)
    np.testing.assert_allclose(parts, whole, rtol=0.01, atol=1e-3)
