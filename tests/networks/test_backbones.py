"""Backbones against torchvision's own, and what training needs of them."""

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from avaffect.errors import ModelDamagedError, ModelUnavailableError, UnknownNameError
from avaffect.faces.efficientnet_lite import EfficientNetLite0
from avaffect.models.content import Content
from avaffect.models.zoo import ZOO
from avaffect.networks import backbones
from avaffect.networks.backbones import BACKBONES, BackboneEncoder, PictureNorm, load_pretrained
from avaffect.progress import Notice
from avaffect.recipes.encoders import Backbone

# The width before the classifier, and the parameters with one of 1000 classes, as published.
SIZES = {
    "regnet_y_400mf": (440, 4_344_144),
    "regnet_y_800mf": (784, 6_432_512),
    "resnet18": (512, 11_689_512),
    "resnet50": (2048, 25_557_032),
    "resnet101": (2048, 44_549_160),
    "resnet152": (2048, 60_192_808),
    "efficientnet_b0": (1280, 5_288_548),
    "mobilenet_v2": (1280, 3_504_872),
    "densenet121": (1024, 7_978_856),
    "densenet201": (1920, 20_013_928),
    "efficientnet-lite0": (1280, 4_652_008),
}
SMALL = ("regnet_y_400mf", "resnet18", "mobilenet_v2", "efficientnet_b0", "densenet121")
EVERY_KIND = (*SMALL, "efficientnet-lite0")


def encoder(net="resnet18", size=32, seed=0, **config):
    torch.manual_seed(seed)
    return BackboneEncoder(Backbone(net=net, size=size, **config))


def pictures(count=3, size=32, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8, generator=chance)


def unsettled(net):
    """The net with batch norms that are not what they are at first."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return net


def published(name):
    """The whole net as its authors wrote it, with random weights."""
    torch.manual_seed(5)
    if name == "efficientnet-lite0":
        return unsettled(EfficientNetLite0())
    return unsettled(torchvision.models.get_model(name, weights=None))


@pytest.fixture
def weights_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a state into the place of a net's ImageNet weights."""

    def put(state):
        path = tmp_path / "weights.pth"
        torch.save(state, path)
        content = Content(path, path.read_bytes())
        monkeypatch.setattr(backbones, "model_content", lambda name, on_event: content)
        return path

    return put


@pytest.mark.parametrize("name", BACKBONES)
def test_widths_stages_and_parameters(name) -> None:
    spec = BACKBONES[name]
    assert spec.name == name and name in ZOO
    # RegNet works its widths out with tensors, which the meta device has no values for.
    with torch.device("cpu" if "regnet" in name else "meta"):
        net = BackboneEncoder(Backbone(net=name))
    assert tuple(net.stages) == spec.stages
    assert all(sum(p.numel() for p in stage.parameters()) for stage in net.stages.values())
    width, parameters = SIZES[name]
    assert net.size == spec.width == width
    assert sum(p.numel() for p in net.parameters()) == parameters - 1000 * (width + 1)
    assert set(net.state_dict()) == {f"stages.{key}" for key in net.stages.state_dict()}


@pytest.mark.parametrize("name", EVERY_KIND)
def test_features_are_those_of_the_published_net(name, weights_file) -> None:
    theirs = published(name).eval()
    weights_file(theirs.state_dict())
    ours = encoder(name, size=64).eval()
    assert load_pretrained(ours)
    x = pictures(2, 64)
    planes = x.permute(0, 3, 1, 2).float()
    if name == "efficientnet-lite0":
        planes = planes / 127.5 - 1
    else:
        planes = torchvision.transforms.functional.normalize(
            planes / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        )
        setattr(theirs, BACKBONES[name].classifier, nn.Identity())
    with torch.inference_mode():
        expected, features = theirs(planes), ours(x)
        assert features.shape == (2, ours.size) and features.dtype == torch.float32
        torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)
        assert features.std() > 0.01
        torch.testing.assert_close(ours(x.float()), features)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenet_v2", "densenet121"])
def test_random_start_lets_signals_through(name: str) -> None:
    net = encoder(name, size=64).train()
    x = torch.randn(8, 3, 64, 64)
    for stage in net.stages.values():
        x = stage(x)
        assert 0.05 < x.std().item() < 20


def test_faces_are_resized_to_the_size_asked_for() -> None:
    net = encoder(size=64).eval()
    with torch.inference_mode():
        small, large = pictures(2, 40), pictures(2, 150)
        for x, antialias in ((small, False), (large, True)):
            planes = x.permute(0, 3, 1, 2).float()
            there = nn.functional.interpolate(
                planes, (64, 64), mode="bilinear", antialias=antialias
            )
            torch.testing.assert_close(
                net(x), net(there.permute(0, 2, 3, 1)), atol=1e-4, rtol=1e-4
            )


@pytest.mark.parametrize("name", EVERY_KIND)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_no_picture_at_all_has_gradients_of_zero(name, checkpointing: bool) -> None:
    net = encoder(name, checkpointing=checkpointing).train()
    before = copy.deepcopy(net.state_dict())
    x = net(pictures(0))
    assert x.shape == (0, net.size)
    x.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("name", EVERY_KIND)
def test_one_picture_whose_maps_end_as_a_pixel(name) -> None:
    net = encoder(name).train()
    out = net(pictures(1))
    assert out.isfinite().all()
    out.sum().backward()
    last = [m for m in net.modules() if isinstance(m, PictureNorm)][-1]
    first = next(m for m in net.modules() if isinstance(m, PictureNorm))
    assert not last.running_mean.any() and last.num_batches_tracked == 0
    assert first.running_mean.any() and first.num_batches_tracked == 1


def test_single_values_are_normalised_by_the_running_statistics() -> None:
    norm = unsettled(PictureNorm(4)).train()
    x = torch.randn(1, 4, 1, 1)
    torch.testing.assert_close(norm(x), copy.deepcopy(norm).eval()(x))
    several = torch.randn(2, 4, 1, 1)
    torch.testing.assert_close(
        norm(several),
        nn.functional.batch_norm(several, None, None, norm.weight, norm.bias, training=True),
    )


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "efficientnet-lite0"])
@pytest.mark.parametrize("count", [1, 4])
def test_checkpointing_changes_neither_gradients_nor_statistics(name: str, count: int) -> None:
    results = []
    for checkpointing in (False, True):
        net = encoder(name, checkpointing=checkpointing, dropout=0.3, frozen=("stem",)).train()
        torch.manual_seed(1)
        for step in range(2):  # statistics of the first step must not leak into the second
            net(pictures(count, seed=step)).square().sum().backward()
        grads = {key: p.grad for key, p in net.named_parameters() if p.requires_grad}
        results.append((grads, net.state_dict()))
    for plain, again in zip(*results, strict=True):
        assert plain.keys() == again.keys()
        for key, value in plain.items():
            # Threads add up in another order each time; a statistic taken twice is far off.
            slack = 1e-7 + 1e-4 * float(value.abs().max())
            torch.testing.assert_close(again[key], value, rtol=1e-3, atol=slack)


def test_checkpointing_keeps_less(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {}
    for checkpointing in (False, True):
        net, total = encoder(checkpointing=checkpointing).train(), []
        own = {p.data_ptr() for p in net.parameters()}

        def pack(x, own=own, total=total):
            if x.data_ptr() not in own:
                total.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            net(pictures(4))
        kept[checkpointing] = sum(total)
    assert kept[True] < kept[False] / 3


def test_frozen_stages_stay_in_all_ways() -> None:
    net = encoder("mobilenet_v2", frozen=("stem", "stage3")).train()
    before = copy.deepcopy(net.state_dict())
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    net(pictures(4)).sum().backward()
    optimiser.step()
    moved = {
        key.split(".")[1]
        for key, value in net.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert moved == set(net.stages) - {"stem", "stage3"}
    assert all(p.grad is None for p in net.stages["stage3"].parameters())
    assert not any(module.training for module in net.stages["stage3"].modules())
    assert net.stages["stage4"].training and net.train(False) is net
    assert not net.stages["stage4"].training


def test_dropout_of_what_comes_out() -> None:
    net = encoder("efficientnet_b0", dropout=0.5).train()  # which has no ReLU to make zeros
    torch.manual_seed(0)
    assert (net(pictures(4)) == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert net.eval()(pictures(4)).all()


def test_names_that_do_not_exist() -> None:
    with pytest.raises(UnknownNameError, match=r"no backbone is called 'resnet19'.*resnet18"):
        encoder("resnet19")
    with pytest.raises(UnknownNameError, match=r"no stage of resnet18 is called 'block9'.*layer4"):
        encoder(frozen=("stem", "block9"))


@pytest.mark.parametrize("name", ["regnet_y_400mf", "efficientnet-lite0"])
def test_onnx_says_the_same(name: str, tmp_path: Path) -> None:
    import onnxruntime

    net = unsettled(encoder(name, size=64)).eval()
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (pictures(2, 64),),
            str(path),
            input_names=["pictures"],
            dynamic_axes={"pictures": {0: "M"}},
            opset_version=17,
            dynamo=False,
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for count in (1, 3):
        x = pictures(count, 64, seed=count)
        (theirs,) = session.run(None, {"pictures": x.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(theirs, net(x).numpy(), atol=1e-4, rtol=1e-3)


def test_pretrained_weights_with_the_names_that_densenet_once_had(weights_file) -> None:
    theirs = published("densenet121")
    old = {}
    for key, value in theirs.state_dict().items():
        for part in ("norm1", "norm2", "conv1", "conv2"):
            if "denselayer" in key:
                key = key.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
        if not key.endswith("num_batches_tracked"):  # younger than the weights
            old[key] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    weights_file(old)
    net = encoder("densenet121")
    assert load_pretrained(net)
    theirs.classifier = nn.Identity()
    with torch.inference_mode():
        torch.testing.assert_close(
            net.eval().stages["stem"](torch.ones(1, 3, 32, 32)),
            theirs.eval().features[:4](torch.ones(1, 3, 32, 32)),
        )
    layer = net.stages["denseblock3"][0].denselayer2.conv2.weight
    assert torch.equal(layer, theirs.features.denseblock3.denselayer2.conv2.weight)


def test_pretrained_weights_leave_frozen_stages_frozen(weights_file) -> None:
    theirs = published("resnet18")
    weights_file(theirs.state_dict())
    net = encoder(frozen=("stem", "layer1")).train()
    assert load_pretrained(net)
    assert torch.equal(net.stages["stem"][0].weight, theirs.conv1.weight)
    assert not net.stages["stem"][0].weight.requires_grad
    assert net.stages["layer2"][0].conv1.weight.requires_grad
    assert not net.stages["layer1"].training


def test_without_weights_it_says_so_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    net = encoder()
    before = copy.deepcopy(net.state_dict())
    events = []
    assert load_pretrained(net, events.append) is False
    (notice,) = events
    assert isinstance(notice, Notice) and notice.warning and "\n" not in notice.text
    for part in ("resnet18", "AT RANDOM", ZOO["resnet18"].file, str(tmp_path), "avaffect models"):
        assert part in notice.text
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_the_cache_is_asked_for_the_net_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def content(name, on_event):
        asked.append(name)
        raise ModelUnavailableError("no network")

    asked = []
    monkeypatch.setattr(backbones, "model_content", content)
    assert not load_pretrained(encoder("mobilenet_v2"))
    assert asked == ["mobilenet_v2"]


def test_weights_of_another_net_are_refused(weights_file) -> None:
    net = encoder()
    before = copy.deepcopy(net.state_dict())
    state = published("resnet18").state_dict()
    lacking = {key: value for key, value in state.items() if key != "layer4.1.conv2.weight"}
    for wrong in (
        published("mobilenet_v2").state_dict(),
        lacking,
        {**state, "more": torch.ones(1)},
    ):
        path = weights_file(wrong)
        with pytest.raises(ModelDamagedError, match="does not hold the weights of resnet18"):
            load_pretrained(net)
    for content in (b"", b"no weights", b"\x80\x02."):
        path.write_bytes(content)
        with pytest.raises(ModelDamagedError, match="does not hold the weights of resnet18"):
            load_pretrained(net)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
