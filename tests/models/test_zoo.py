import importlib
from dataclasses import replace

import pytest

from avaffect.errors import UnknownNameError, UsageError
from avaffect.models import cache
from avaffect.models.zoo import (
    DEFAULT_MODELS,
    ZOO,
    Check,
    PackagedSource,
    UrlSource,
    WheelSource,
    find_model,
    require_commercial,
)


def test_names_and_files_are_unique_plain_and_findable() -> None:
    files = [model.file for model in ZOO.values()]
    assert len(set(files)) == len(files)
    for name, model in ZOO.items():
        assert find_model(name) is model
        assert model.name == name
        assert "/" not in model.file
        assert not model.file.startswith((".", "-"))
        assert model.licence
        assert model.task
        assert model.sources


def test_every_default_is_in_the_zoo() -> None:
    assert set(DEFAULT_MODELS) <= set(ZOO)


def test_unknown_name_suggests_a_close_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'centerface'"):
        find_model("centreface")


def test_wheels_give_exact_sizes_and_full_hashes() -> None:
    for model in ZOO.values():
        if any(isinstance(source, WheelSource) for source in model.sources):
            assert model.bytes
            assert not model.check.weak


def test_a_file_name_with_a_hash_in_it_agrees_with_the_check() -> None:
    named = [model for model in ZOO.values() if model.file.endswith((".pth", ".pth.tar"))]
    assert len(named) >= 13
    for model in named:
        digits = model.file.partition(".")[0].rpartition("-")[2]
        assert len(digits) >= 8
        assert model.check.digest.startswith(digits), model.name


def test_of_three_files_alone_the_whole_hash_is_unknown() -> None:
    weak = {model.name for model in ZOO.values() if model.check.weak}
    assert weak == {"regnet_y_400mf", "regnet_y_800mf", "densenet201"}


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        # As stores and checkpoints of before have them.
        ("resnet50", "0676ba61"),
        ("2dfan4", "11f355bf06"),
        ("s3fd", "619a316812"),
        ("enet_b0_8_va_mtl", "7ce9d6dd5b82b260bc19bfe7822a6ffa1abb6011"),
        ("fer", "65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559"),
    ],
)
def test_records_call_weights_what_they_always_called_them(name: str, identity: str) -> None:
    assert find_model(name).identity == identity


@pytest.mark.parametrize(
    ("name", "enum"),
    [
        ("regnet_y_400mf", "RegNet_Y_400MF_Weights"),
        ("regnet_y_800mf", "RegNet_Y_800MF_Weights"),
        ("resnet18", "ResNet18_Weights"),
        ("resnet50", "ResNet50_Weights"),
        ("resnet101", "ResNet101_Weights"),
        ("resnet152", "ResNet152_Weights"),
        ("efficientnet_b0", "EfficientNet_B0_Weights"),
        ("mobilenet_v2", "MobileNet_V2_Weights"),
        ("densenet121", "DenseNet121_Weights"),
        ("densenet201", "DenseNet201_Weights"),
    ],
)
def test_imagenet_nets_are_torchvision_s_own(name: str, enum: str) -> None:
    weights = getattr(importlib.import_module("torchvision.models"), enum).IMAGENET1K_V1
    assert ZOO[name].sources == (UrlSource(weights.url),)
    # torchvision gives MiB to three digits.
    assert ZOO[name].about_bytes == pytest.approx(weights.meta["_file_size"] * 2**20, abs=1)


@pytest.mark.parametrize(
    "digest", ["abcdef0", "ABCDEF0123", "a" * 65, "not hex!!", "", "\u0661" * 64]
)
def test_a_check_that_checks_too_little_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        Check(digest)


def test_a_weak_check_says_so() -> None:
    assert str(Check("a" * 8)) == "SHA-256, first 8 digits (weak)"
    assert str(Check("a" * 64)) == "SHA-256"


def test_only_https_addresses_are_registered() -> None:
    with pytest.raises(ValueError, match="https"):
        UrlSource("http://example.org/net.onnx")


@pytest.mark.parametrize("member", ["/etc/passwd", "../zoo.py", "shipped/../../config.py"])
def test_packaged_files_are_inside_the_package(member: str) -> None:
    with pytest.raises(ValueError, match="not inside"):
        PackagedSource(member)


def test_what_is_packaged_is_there_whole_and_small(shipped) -> None:
    packaged = [model for model in ZOO.values() if model.packaged]
    assert ZOO["shipped"] in packaged
    for model in packaged:
        assert model.sources == (model.packaged,)
        assert model.bytes
        assert not model.check.weak
    assert sum(model.bytes or 0 for model in packaged) <= 20e6
    assert cache.state(ZOO["shipped"]) == (cache.CacheState.PACKAGED, "")


def test_packaged_files_are_installed() -> None:
    for model in ZOO.values():
        packaged = cache.state(model) == (cache.CacheState.PACKAGED, "")
        assert packaged is (model.packaged is not None), model.name


@pytest.mark.parametrize(
    ("licence", "noncommercial"),
    [
        ("CC BY-NC-SA 4.0", True),
        ("CC-BY-NC-4.0", True),
        ("research only, non-commercial", True),
        ("Noncommercial use", True),
        ("CC BY-SA 4.0", False),
        ("Apache-2.0", False),
        ("unstated", False),
        ("Concise", False),
    ],
)
def test_a_licence_tells_whether_commercial_use_is_forbidden(
    licence: str, noncommercial: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = replace(ZOO["fer"], licence=licence)
    assert model.noncommercial is noncommercial
    monkeypatch.setitem(ZOO, "fer", model)
    if noncommercial:
        with pytest.raises(
            UsageError, match=r"'fer' is for non-commercial use.*noncommercial=False"
        ):
            require_commercial(["s3fd", "fer"])
    else:
        require_commercial(["s3fd", "fer"])
