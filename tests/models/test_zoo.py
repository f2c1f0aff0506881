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
    for model in ZOO.values():
        if model.file.endswith((".pth", ".pth.tar")):
            assert model.file.partition(".")[0].endswith(f"-{model.check.digest[:8]}") or (
                f"-{model.check.digest}." in model.file
            )


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
    ("kind", "digest"),
    [
        ("sha256", "abcdef0"),
        ("sha256", "ABCDEF0123"),
        ("sha256", "a" * 65),
        ("sha256", "not hex!!"),
        ("git-sha1", "a" * 39),
        ("md5", "a" * 32),
    ],
)
def test_a_check_that_checks_too_little_is_refused(kind: str, digest: str) -> None:
    with pytest.raises(ValueError, match=r"digits|unknown kind"):
        Check(kind, digest)


def test_a_weak_check_says_so() -> None:
    assert str(Check("sha256", "a" * 8)) == "SHA-256, first 8 digits (weak)"
    assert str(Check("sha256", "a" * 64)) == "SHA-256"
    assert str(Check("git-sha1", "a" * 40)) == "git SHA-1"


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
