"""The complex steerable pyramid."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from avaffect.networks.steerable import oriented_bands


def _wave(size: int, wavelength: float, direction: int, phase: float = 0.0) -> Tensor:
    """A wave of amplitude 10 on 100, along x (0) or y (1); periodic for whole wavelengths."""
    line = 10 * torch.cos(2 * math.pi * torch.arange(size) / wavelength + phase) + 100
    wave = line.expand(size, size)
    return wave if direction == 0 else wave.T


def _bands(pictures: Tensor, bands: int, levels: int) -> list[Tensor]:
    """The bands of the first levels, complex."""
    return [
        torch.complex(*parts) for parts in oriented_bands(pictures, bands, range(1, levels + 1))
    ]


def test_shapes() -> None:
    found = _bands(torch.rand(2, 3, 32, 48), bands=5, levels=3)
    shapes = [tuple(band.shape) for band in found]
    assert shapes == [(2, 3, 5, 32, 48), (2, 3, 5, 16, 24), (2, 3, 5, 8, 12)]
    assert found[0].dtype == torch.complex64


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize(("level", "wavelength"), [(1, 4), (2, 8), (3, 16)])
def test_a_wave_is_where_it_belongs(level: int, wavelength: int, direction: int) -> None:
    found = _bands(_wave(64, wavelength, direction, phase=0.7), bands=2, levels=3)
    for i, bands in enumerate(found, start=1):
        for k in (0, 1):
            expected = 10.0 if (i, k) == (level, direction) else 0.0
            torch.testing.assert_close(
                bands[k].abs(), torch.full_like(bands[k].abs(), expected), atol=2e-4, rtol=0
            )


def test_phase_follows_the_wave() -> None:
    band = _bands(_wave(32, 4, 0), bands=1, levels=1)[0][0]
    along = torch.polar(torch.tensor(10.0), 2 * math.pi * torch.arange(32) / 4)
    torch.testing.assert_close(band, along.expand(32, 32), atol=2e-4, rtol=0)


@pytest.mark.parametrize("bands", [1, 2, 4, 5])
def test_modulus_of_a_wave_by_the_number_of_bands(bands: int) -> None:
    order = bands - 1
    gain = 2**order * math.factorial(order) / math.sqrt(bands * math.factorial(2 * order))
    band = _bands(_wave(32, 4, 0), bands, 1)[0][0]
    torch.testing.assert_close(band.abs(), torch.full((32, 32), 10 * gain), atol=1e-3, rtol=0)


def test_numbers_of_another_implementation() -> None:
    # plenoptic 2.1.1: SteerablePyramidFreq((32, 32), height=2, order=bands - 1, is_complex=True,
    # downsample=True, tight_frame=False), levels divided by 1, 4, 16.
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    picture = ((3 * y * y + 5 * x + x * x * y) % 17).double()
    for bands, first, second in (
        (3, -1.7767 - 1.4215j, -1.5848 + 0.5859j),
        (4, -0.8364 + 1.2349j, 0.1992 + 1.4163j),
    ):
        found = _bands(picture, bands, 2)
        assert found[0][1, 3, 5].item() == pytest.approx(first, abs=2e-4)
        assert found[1][2, 3, 5].item() == pytest.approx(second, abs=2e-4)


def test_bands_are_analytic() -> None:
    band = _bands(torch.rand(32, 32), bands=3, levels=1)[0][0]
    power = torch.fft.fft2(band).abs().square()
    assert power[:, 1:16].sum() > 1
    assert power[:, 17:].sum() < 1e-6 * power.sum()


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_matrices_say_what_the_fft_says(bands: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = 255 * torch.rand(2, 3, 16, 24)
    levels = [3, 1]
    direct = oriented_bands(pictures, bands, levels)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    exported = oriented_bands(pictures, bands, levels)
    for band, other in zip(direct, exported, strict=True):
        torch.testing.assert_close(band, other, atol=1e-3, rtol=0)


def test_each_picture_for_itself() -> None:
    pictures = 255 * torch.rand(5, 24, 24)
    whole = _bands(pictures, 2, 2)
    for i, picture in enumerate(pictures):
        for alone, many in zip(_bands(picture, 2, 2), whole, strict=True):
            torch.testing.assert_close(alone, many[i])


def test_whole_numbers_and_autocast() -> None:
    pictures = torch.randint(0, 256, (16, 16), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        found = _bands(pictures, 2, 1)
    torch.testing.assert_close(found[0], _bands(pictures.double(), 2, 1)[0])


def test_filters_made_for_inference_serve_training() -> None:
    pictures = torch.rand(8, 56, requires_grad=True)  # a size that no other test has
    with torch.inference_mode():
        _bands(pictures, 2, 1)
    _bands(pictures, 2, 1)[0].abs().sum().backward()
    assert pictures.grad is not None and pictures.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("size", "bands", "levels"),
    [((12, 16), 2, 3), ((16, 6), 2, 2), ((8, 8), 0, 1), ((8, 8), 1, 0)],
)
def test_what_cannot_be(size: tuple[int, int], bands: int, levels: int) -> None:
    with pytest.raises(ValueError, match=r"halved|at least one"):
        oriented_bands(torch.rand(size), bands, [levels])
