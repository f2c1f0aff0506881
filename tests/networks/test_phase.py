"""Phase differences, and the small net on them."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from avaffect.errors import UsageError
from avaffect.networks.phase import (
    PhaseEncoder,
    local_motion,
    phase_differences,
    shrink,
    smooth,
    wrap,
)
from avaffect.networks.steerable import oriented_bands
from avaffect.recipes.encoders import PhaseDifference

TURN = 2 * math.pi
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
MIMAMO = {"layers": 2, "norm": "batch"}
SMALL = {"size": 16, "differences": 4, "channels": (4,), "units": 16}


def _moving(
    velocity: float, wavelength: float, direction: int = 0, frames: int = 4, size: int = 48
) -> Tensor:
    """float32 [1, T, S, S], a sine grating that moves towards larger x (0) or y (1)."""
    at = torch.arange(size) - velocity * torch.arange(frames)[:, None]
    line = 128 + 50 * torch.sin(TURN * at / wavelength)
    pictures = line[:, None].expand(-1, size, -1)
    return (pictures if direction == 0 else pictures.mT)[None]


def _texture(*shape: int, seed: int = 0) -> Tensor:
    """Smooth enough to hold something at both levels, float32 in 0..255."""
    chance = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, math.prod(shape[:-2]), shape[-2] // 2, shape[-1] // 2, generator=chance)
    return 255 * functional.interpolate(coarse, scale_factor=2, mode="bilinear").reshape(shape)


def _film(windows: int, frames: int, side: int = 20, seed: int = 0) -> Tensor:
    """uint8 [B, T, S, S, 3]."""
    chance = torch.Generator().manual_seed(seed)
    shape = (windows, frames, side, side, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=chance)


def _encoder(**config: Any) -> PhaseEncoder:
    torch.manual_seed(0)
    return PhaseEncoder(PhaseDifference(**{**SMALL, "dropout": 0, "out_dropout": 0, **config}))


# Angles


@given(st.floats(-100, 100))
def test_wrap(angle: float) -> None:
    wrapped = wrap(torch.tensor(angle, dtype=torch.float64)).item()
    assert -math.pi - 1e-12 <= wrapped <= math.pi
    turns = (angle - wrapped) / TURN
    assert turns == pytest.approx(round(turns), abs=1e-9)


def test_wrap_takes_jumps_of_both_signs() -> None:
    # The remainder towards zero (fmod) leaves those below -pi as they are.
    angles = torch.tensor([-6.0, -3.5, -3.0, 3.0, 3.5, 6.0, 0.0, math.pi], dtype=torch.float64)
    expected = [TURN - 6, TURN - 3.5, -3.0, 3.0, 3.5 - TURN, 6 - TURN, 0.0, math.pi]
    assert wrap(angles).tolist() == pytest.approx(expected)


# Motion


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize(
    ("velocity", "wavelength", "level"),
    [(0.3, 4, 1), (-0.3, 4, 1), (0.3, 6, 1), (1.9, 4, 1), (2.5, 4, 1), (-3.0, 8, 2), (7.0, 8, 2)],
)
def test_velocity_of_a_grating(
    velocity: float, wavelength: int, level: int, direction: int
) -> None:
    pictures = _moving(velocity, wavelength, direction)
    ((real, imag),) = oriented_bands(pictures, 2, [level])
    motion, weight = local_motion(real, imag)
    # The other band holds nothing; what little rounding leaves there has no weight.
    if wavelength == 2 * 2**level:  # the middle of the level
        assert weight[:, :, direction].sub(50).abs().max() < 1e-2
    assert weight[:, :, 1 - direction].max() < 1e-3
    expected = -TURN * velocity / wavelength
    expected = math.remainder(expected, TURN)
    found = motion[:, :, direction]
    torch.testing.assert_close(found, torch.full_like(found, expected), atol=1e-3, rtol=0)
    blurred = smooth(motion, weight)
    torch.testing.assert_close(
        blurred[:, :, direction], torch.full_like(found, expected), atol=2e-2, rtol=0
    )
    assert blurred[:, :, 1 - direction].abs().max() < 2e-2


def test_blur_is_weighted() -> None:
    motion, weight = torch.zeros(11, 11), torch.zeros(11, 11)
    motion[5, 3], weight[5, 3] = 2.0, 3000.0
    motion[5, 6], weight[5, 6] = -1.0, 1000.0
    near, far = math.exp(-1 / 8), math.exp(-4 / 8)  # of column 4, one and two pixels off
    expected = (2 * 3 * near - 1 * far) / (3 * near + far)
    blurred = smooth(motion, weight)
    assert blurred[5, 4].item() == pytest.approx(expected, rel=0.02)
    assert smooth(motion, 0 * weight).abs().max() == 0
    # 11 taps: five pixels to each side.
    assert blurred[5, 8].item() == pytest.approx(
        (6 * math.exp(-25 / 8) - math.exp(-4 / 8)) / (3 * math.exp(-25 / 8) + math.exp(-4 / 8)),
        rel=0.02,
    )
    assert blurred[5, 9].item() == pytest.approx(-1, rel=0.02)


def test_a_part_that_moves() -> None:
    pictures = _moving(0.5, 4).clone()
    pictures[..., 24:] = pictures[:, :1, :, 24:]
    fine, coarse = phase_differences(pictures)
    assert fine.shape == (1, 3, 2, 48, 48) and coarse.shape == (1, 3, 2, 24, 24)
    moving, still = fine[:, :, 0, 12:36, 6:14], fine[:, :, 0, 12:36, 34:42]
    between = moving.mean() - still.mean()
    assert between.item() == pytest.approx(-TURN * 0.5 / 4, abs=0.05)
    assert fine.mean((-2, -1)).abs().max() < 1e-5
    assert coarse.mean((-2, -1)).abs().max() < 1e-5


@pytest.mark.parametrize("dim", [-2, -1])
def test_opposite_sides_are_not_neighbours(dim: int) -> None:
    pictures = _texture(1, 1, 48, 48).repeat(1, 2, 1, 1)
    changed = _texture(1, 1, 48, 48, seed=1)[:, 0].narrow(dim, 40, 8)
    pictures[:, 1].narrow(dim, 40, 8).copy_(changed)
    for band in phase_differences(pictures):
        far = band.narrow(dim, 0, band.shape[-1] // 2)
        assert band.abs().max() > 0.3
        assert (far.amax((-2, -1)) - far.amin((-2, -1))).max() < 0.2


def test_opposite_motion_has_the_opposite_sign() -> None:
    pictures = _texture(1, 5, 32, 32)
    for there, back in zip(
        phase_differences(pictures), phase_differences(pictures.flip(1)), strict=True
    ):
        assert there.abs().max() > 0.1
        torch.testing.assert_close(back.flip(1), -there, atol=1e-4, rtol=0)


def test_nothing_moves() -> None:
    still = _texture(1, 1, 32, 32).expand(-1, 3, -1, -1)
    factor = torch.tensor([1.0, 0.7, 0.4])[:, None, None]
    for pictures in (still, still * factor + 20, 255 * factor.expand(1, 3, 32, 32)):
        for band in phase_differences(pictures):
            assert band.abs().max() < 1e-2
    assert all((band == 0).all() for band in phase_differences(torch.zeros(1, 2, 16, 16)))


def test_a_window_may_start_anywhere_and_stand_alone() -> None:
    pictures = torch.cat([_texture(1, 6, 32, 32, seed=seed) for seed in range(3)])
    whole = phase_differences(pictures, bands=3)
    for i in range(3):
        for alone, many in zip(phase_differences(pictures[i : i + 1, 2:], 3), whole, strict=True):
            torch.testing.assert_close(alone[0], many[i, 2:], atol=1e-4, rtol=0)


def test_float32_under_autocast() -> None:
    pictures = _texture(1, 3, 16, 16)
    plain = phase_differences(pictures)
    with torch.autocast("cpu", torch.bfloat16):
        for band, other in zip(phase_differences(pictures), plain, strict=True):
            assert band.dtype == torch.float32
            torch.testing.assert_close(band, other)


@pytest.mark.parametrize(("old", "new"), [(112, 48), (20, 16), (16, 16), (16, 48)])
def test_shrink(old: int, new: int) -> None:
    film = _film(1, 3, old)[0]
    grey = film.float() @ torch.tensor([0.299, 0.587, 0.114])
    expected = functional.interpolate(
        grey[:, None], size=(new, new), mode="bilinear", antialias=True
    )
    with torch.autocast("cpu", torch.bfloat16):
        found = shrink(film, new)
    torch.testing.assert_close(found, expected[:, 0], atol=1e-2, rtol=0)


# The encoder


def test_parameters_of_the_defaults() -> None:
    encoder = PhaseEncoder(PhaseDifference())
    block = 24 * 64 * 9 + 2 * 64 + 64 * 64 * 9 + 2 * 64
    dense = (64 + 24) * 4 * 4 * 256 + 256
    assert sum(parameter.numel() for parameter in encoder.parameters()) == block + dense == 411_648
    assert encoder.size == 256


def test_two_dense_layers_as_mimamo_net() -> None:
    one, two = (PhaseEncoder(PhaseDifference(**more)) for more in ({}, MIMAMO))
    # Beside what one has: a norm behind each dense layer, and the second of these.
    names = two.state_dict().keys() - one.state_dict().keys()
    norms = {f"after.{i}.batch.{part}" for i in (0, 1) for part in _NORM}
    assert names == {"more.0.weight", "more.0.bias", *norms}
    assert not one.state_dict().keys() - two.state_dict().keys()
    encoder = _encoder(**MIMAMO, out_dropout=0.5)
    assert [after.order for after in encoder.after] == [("activation", "norm", "dropout")] * 2
    outputs = encoder(_film(2, 5), torch.ones(2, 5, dtype=torch.bool)).flatten(0, 1)
    # Normalised before it is dropped: what is left has a mean of about 0, and both signs.
    kept = outputs[outputs != 0]
    assert 0.3 < len(kept) / outputs.numel() < 0.7
    assert kept.min() < 0 < kept.max()


def test_context_makes_whole_what_a_window_cuts() -> None:
    film, seen = _film(1, 20), torch.ones(1, 20, dtype=torch.bool)
    whole = _encoder().eval()(film, seen)
    reading = _encoder(context=True).eval()
    assert reading.margin == 2
    for start, stop in ((0, 7), (7, 13), (13, 20)):
        # Beyond the clip's ends lies nothing, and nothing is seen there.
        wide = torch.zeros(1, stop - start + 4, *film.shape[2:], dtype=torch.uint8)
        there = torch.zeros(wide.shape[:2], dtype=torch.bool)
        for row, frame in enumerate(range(start - 2, stop + 2)):
            if 0 <= frame < 20:
                wide[0, row], there[0, row] = film[0, frame], True
        torch.testing.assert_close(reading(wide, there), whole[:, start:stop])
        cut = _encoder().eval()(film[:, start:stop], seen[:, start:stop])
        assert not torch.allclose(cut, whole[:, start:stop])


def test_three_blocks_pool_to_one_place_as_mimamo_net() -> None:
    encoder = PhaseEncoder(PhaseDifference(channels=(64, 128, 256)))
    assert encoder.dense.in_features == 256
    assert encoder.blocks[1][0].in_channels == 64 + 24


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"levels": (1,)},
        {"levels": (2,), "bands": 3},
        {"levels": (2, 1, 1), "size": 24, "differences": 2},
        {"levels": (1, 2, 3), "channels": (4, 5)},
        {"levels": (1, 3), "channels": (4, 5, 6, 7)},
        MIMAMO,
    ],
)
def test_every_parameter_learns(config: dict[str, Any]) -> None:
    encoder = _encoder(**config)
    film, seen = _film(2, 5), torch.ones(2, 5, dtype=torch.bool)
    out = encoder(film, seen)
    assert out.shape == (2, 5, encoder.size) and out.dtype == torch.float32
    torch.testing.assert_close(encoder(film.float(), seen), out)
    (out.square() * torch.rand(out.shape)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_second_level_is_heard() -> None:
    # Its mean over the picture is zero: pooling all of it into one would leave nothing.
    encoder = _encoder(size=48)
    encoder(_film(1, 5, 48), torch.ones(1, 5, dtype=torch.bool)).sum().backward()
    assert encoder.dense.weight.grad is not None
    by_channel = encoder.dense.weight.grad.reshape(16, 4 + 8, 16)
    assert (by_channel[:, 4:].abs().sum((0, 2)) > 1e-3).all()


def test_levels_out_of_reach() -> None:
    with pytest.raises(UsageError, match="from level 1 to level 3"):
        _encoder(levels=(1, 3))


@pytest.mark.parametrize("training", [False, True])
def test_unseen_frames_change_nothing(training: bool) -> None:
    seen = torch.ones(3, 9, dtype=torch.bool)
    seen[0, 3:5], seen[1, 7:], seen[2] = False, False, False
    film, other = _film(3, 9), _film(3, 9, seed=1)
    outputs = []
    for pictures in (film, torch.where(seen[..., None, None, None], film, other)):
        outputs.append(_encoder().train(training)(pictures, seen))
    assert torch.equal(*outputs)
    assert (outputs[0][~seen] == 0).all()
    assert (outputs[0][seen].abs().sum(-1) > 0).all()
    # Windows of nothing but padding have no part in the statistics of a batch.
    alone = _encoder().train(training)(film[:2], seen[:2])
    torch.testing.assert_close(alone, outputs[0][:2])
    # Padding at the end is as no frames there.
    shorter = _encoder().eval()(film[1:2, :7], seen[1:2, :7])
    torch.testing.assert_close(shorter, _encoder().eval()(film[1:2], seen[1:2])[:, :7])


def test_a_frame_reads_the_pictures_around_it() -> None:
    encoder = _encoder().eval()
    film, seen = _film(1, 11), torch.ones(1, 11, dtype=torch.bool)
    before = encoder(film, seen)
    film[0, 5] = _film(1, 1, seed=1)[0, 0]
    changed = (encoder(film, seen) != before).any(-1)[0]
    # Four differences: two frames to each side.
    assert changed.tolist() == [3 <= t <= 7 for t in range(11)]


def test_beyond_a_window_nothing_moves() -> None:
    encoder = _encoder().eval()
    film = _film(1, 3)
    frozen = torch.cat((film[:, :1].expand(-1, 4, -1, -1, -1), film, film[:, 2:]), dim=1)
    seen = torch.ones(1, 8, dtype=torch.bool)
    torch.testing.assert_close(encoder(film, seen[:, :3]), encoder(frozen, seen)[:, 4:7])


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("faces", [0, 1])
def test_hardly_anything_seen_in_training(faces: int, frames: int) -> None:
    encoder = _encoder()
    seen = torch.zeros(2, frames, dtype=torch.bool)
    seen[0, :faces] = True
    out = encoder(_film(2, frames), seen)
    out.sum().backward()
    for parameter in encoder.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
    assert (out[~seen] == 0).all()
    assert all(buffer.isfinite().all() for buffer in encoder.buffers())


def test_dropout() -> None:
    film, seen = _film(1, 9), torch.ones(1, 9, dtype=torch.bool)
    plain = _encoder()(film, seen)
    assert plain.min() == 0
    for config in ({"dropout": 0.5}, {"out_dropout": 0.5}):
        encoder = _encoder(**config)
        assert not torch.equal(encoder(film, seen), plain)
        assert torch.equal(encoder.eval()(film, seen), encoder(film, seen))


def test_frames_are_encoded_alike_with_and_without_gradient() -> None:
    encoder = _encoder().eval()
    film, seen = _film(2, 20), torch.rand(2, 20, generator=torch.manual_seed(0)) > 0.2
    with torch.inference_mode():
        apart = encoder(film, seen)
    torch.testing.assert_close(encoder(film, seen), apart)


def test_autocast_and_training_after_inference() -> None:
    encoder = _encoder(size=40)  # a size that no other test has
    film, seen = _film(1, 4), torch.ones(1, 4, dtype=torch.bool)
    with torch.inference_mode():
        plain = encoder.eval()(film, seen)
    with torch.autocast("cpu", torch.bfloat16):
        out = encoder(film, seen)
        out.sum().backward()
    torch.testing.assert_close(out.float(), plain.clone(), atol=2e-2, rtol=5e-2)


@pytest.mark.parametrize("config", [{}, {"levels": (1, 2, 3), "channels": (4, 5), "bands": 3}])
def test_onnx(config: dict[str, Any], tmp_path: Path) -> None:
    encoder = _encoder(**config).eval()
    path = tmp_path / "phase.onnx"
    example = _film(2, 5).float(), torch.ones(2, 5, dtype=torch.bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder,
            example,
            str(path),
            input_names=["pictures", "seen"],
            output_names=["out"],
            dynamic_axes={name: {0: "b", 1: "t"} for name in ("pictures", "seen", "out")},
            opset_version=17,
            dynamo=False,
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for windows, frames in ((1, 1), (1, 2), (3, 9)):
        pictures = _film(windows, frames, seed=frames).float()
        pictures[-1, frames // 2 :] = 0
        seen = torch.rand(windows, frames, generator=torch.manual_seed(1)) > 0.3
        with torch.inference_mode():
            expected = encoder(pictures, seen).numpy()
        (out,) = session.run(None, {"pictures": pictures.numpy(), "seen": seen.numpy()})
        np.testing.assert_allclose(out, expected, atol=1e-5)
