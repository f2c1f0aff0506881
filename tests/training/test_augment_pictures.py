"""Changes to pictures: each does what it says, to all frames of a window alike."""

import colorsys
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.recipes.training import Augment
from avaffect.training.augment_pictures import augment_pictures

SIZE = 24
EVERYTHING = Augment(
    flip=0.5, rotation=20, crop=0.3, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1
)
FIELDS = ("flip", "rotation", "crop", "brightness", "contrast", "saturation", "hue")


def smooth(windows=6, frames=3, size=SIZE, seed=0):
    """uint8 [windows, frames, size, size, 3]: soft blobs, nowhere near black or white."""
    chance = torch.Generator().manual_seed(seed)
    small = torch.rand(windows * frames, 3, 4, 4, generator=chance) * 140 + 60
    large = torch.nn.functional.interpolate(small, (size, size), mode="bicubic").clamp(40, 215)
    return large.permute(0, 2, 3, 1).reshape(windows, frames, size, size, 3).to(torch.uint8)


def alike(windows=6, frames=3, seed=0):
    """The same picture in all windows and frames."""
    return smooth(1, 1, seed=seed).expand(windows, frames, SIZE, SIZE, 3)


def luma(x):
    return x.float() @ torch.tensor([0.299, 0.587, 0.114])


def test_without_settings_nothing_is_changed_or_drawn() -> None:
    x = smooth()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    y = augment_pictures(x, Augment(noise=0.5, mixup=0.2))
    assert y.dtype == torch.float32
    assert torch.equal(y, x.float())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("field", FIELDS)
def test_all_frames_of_a_window_change_alike_and_windows_differ(field: str) -> None:
    torch.manual_seed(0)
    y = augment_pictures(alike(), Augment(**{field: 90 if field == "rotation" else 0.5}))
    assert (y == y[:, :1]).all()
    assert len({tuple(window.flatten().tolist()) for window in y[:, 0]}) > 1
    assert y.min() >= 0 and y.max() <= 255


@given(
    windows=st.integers(1, 5),
    frames=st.integers(1, 20),
    seed=st.integers(0, 99),
    settings_=st.fixed_dictionaries(
        {
            "flip": st.floats(0, 1),
            "rotation": st.floats(0, 180),
            **{name: st.floats(0, 0.99) for name in FIELDS[2:6]},
            "hue": st.floats(0, 0.5),
        }
    ),
)
@settings(max_examples=40)
def test_range_shape_chance_and_pieces(windows, frames, seed, settings_) -> None:
    config = Augment(**settings_)
    torch.manual_seed(seed)
    x = torch.randint(0, 256, (windows, frames, 6, 6, 3), dtype=torch.uint8)
    kept = x.clone()
    torch.manual_seed(seed)
    y = augment_pictures(x, config)
    assert torch.equal(x, kept)
    assert y.shape == x.shape and y.dtype == torch.float32
    assert y.min() >= 0 and y.max() <= 255
    torch.manual_seed(seed)
    assert torch.equal(augment_pictures(x, config), y)
    # What a frame becomes does not depend on the others, nor on the kind of number.
    torch.manual_seed(seed)
    torch.testing.assert_close(
        augment_pictures(x[:, -1:].float(), config), y[:, -1:], atol=1e-3, rtol=0
    )


def test_frames_without_a_face_stay_black() -> None:
    torch.manual_seed(0)
    assert not augment_pictures(torch.zeros(4, 2, SIZE, SIZE, 3), EVERYTHING).any()


def test_flip() -> None:
    x = smooth(200, 2)
    torch.manual_seed(0)
    y = augment_pictures(x, Augment(flip=0.25))
    mirrored = (y - x.flip(3)).abs().amax((1, 2, 3, 4)) < 0.01
    as_it_was = (y - x).abs().amax((1, 2, 3, 4)) < 0.01
    assert (mirrored ^ as_it_was).all()
    assert mirrored.float().mean().item() == pytest.approx(0.25, abs=0.08)


def spot(x):
    """float [B, 2]: where the light of pictures [B, S, S, 3] is, from -1 to 1, right and down."""
    light = x[..., 0] / x[..., 0].sum((1, 2), keepdim=True)
    at = (torch.arange(x.shape[1]) + 0.5) / x.shape[1] * 2 - 1
    return torch.stack(((light.sum(1) * at).sum(1), (light.sum(2) * at).sum(1)), -1)


def dot(column, row, size=63, radius=4.0, windows=200):
    at = torch.arange(size, dtype=torch.float32)
    far = (at[None, :] - column).square() + (at[:, None] - row).square()
    picture = 200 * torch.exp(-far / radius**2)
    return picture[None, None, :, :, None].expand(windows, 1, size, size, 3)


def test_rotation_turns_about_the_middle_both_ways() -> None:
    torch.manual_seed(0)
    x = dot(31, 13)
    before = spot(x[:, 0])
    after = spot(augment_pictures(x, Augment(rotation=40))[:, 0])
    torch.testing.assert_close(after.norm(dim=1), before.norm(dim=1), atol=5e-3, rtol=0)
    angle = torch.rad2deg(torch.atan2(after[:, 0], -after[:, 1]))
    assert -40.5 <= angle.min() < -30
    assert 30 < angle.max() <= 40.5
    assert angle.mean().abs() < 8


def test_crop_enlarges_what_it_keeps() -> None:
    torch.manual_seed(0)
    x = dot(31, 31)
    y = augment_pictures(x, Augment(crop=0.5))[:, 0]
    # A dot that is wholly inside covers an area as much larger as the picture lost.
    grown = y[..., 0].sum((1, 2)) / x[0, 0, ..., 0].sum()
    assert grown.min() == pytest.approx(1, abs=0.1)
    assert grown.max() == pytest.approx(2, abs=0.1)
    place = spot(y)
    assert (place.abs().amax(0) > 0.2).all()  # also off the middle, in both directions
    assert (place.mean(0).abs() < 0.08).all()


def ramps(windows):
    """Each pixel tells where it is: its column in red, its row in green, in [-1, 1] times 100."""
    at = (2 * torch.arange(SIZE) + 1) / SIZE - 1
    columns, rows = at.expand(SIZE, SIZE), at[:, None].expand(SIZE, SIZE)
    picture = torch.stack((columns, rows, 0 * rows), -1) * 100 + 128
    return picture.expand(windows, 1, SIZE, SIZE, 3)


def test_crops_of_another_shape() -> None:
    torch.manual_seed(0)
    middle = augment_pictures(ramps(200), Augment(crop=0.5, aspect=1.5))[:, 0, 4:-4, 4:-4]
    wide = middle[:, 0, -1, 0] - middle[:, 0, 0, 0]
    high = middle[:, -1, 0, 1] - middle[:, 0, 0, 1]
    shape = wide / high
    assert 1.3 < shape.max() <= 1.5001 and 1.3 < 1 / shape.min() <= 1.5001
    assert 0.4 < (shape > 1).float().mean() < 0.6


def test_crops_keep_the_shape_unless_asked() -> None:
    x, found = ramps(20), []
    for config in (Augment(crop=0.5), Augment(crop=0.5, aspect=1.0)):
        torch.manual_seed(0)
        found.append(augment_pictures(x, config))
    assert torch.equal(*found)
    middle = found[0][:, 0, 4:-4, 4:-4]
    wide = middle[:, 0, -1, 0] - middle[:, 0, 0, 0]
    torch.testing.assert_close(middle[:, -1, 0, 1] - middle[:, 0, 0, 1], wide)


def test_crop_stays_inside_the_picture() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(0, 240, SIZE)[None, None, None, :, None].expand(100, 1, SIZE, SIZE, 3)
    y = augment_pictures(ramp, Augment(crop=0.6))[:, 0, 0, :, 0]
    slope = y[:, 1:-1].diff(dim=1)
    # No border is seen, which would be flat; the ramp goes on at one slope.
    assert (slope > 0.5 * 240 / SIZE).all()
    torch.testing.assert_close(
        slope, slope.mean(1, keepdim=True).expand_as(slope), atol=0.1, rtol=0
    )


def test_what_was_turned_in_from_outside_looks_like_the_border() -> None:
    torch.manual_seed(0)
    grey = torch.full((8, 1, SIZE, SIZE, 3), 90.0)
    torch.testing.assert_close(augment_pictures(grey, Augment(rotation=180)), grey)


def test_brightness() -> None:
    torch.manual_seed(0)
    x = smooth(300, 1)
    ratio = augment_pictures(x, Augment(brightness=0.15)) / x
    factor = ratio.mean((1, 2, 3, 4), keepdim=True)
    torch.testing.assert_close(ratio, factor.expand_as(ratio))
    assert factor.min().item() == pytest.approx(0.85, abs=0.01)
    assert factor.max().item() == pytest.approx(1.15, abs=0.01)


def test_contrast_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = smooth(300, 2)
    y = augment_pictures(x, Augment(contrast=0.2))
    mean = luma(x).mean((2, 3))
    torch.testing.assert_close(luma(y).mean((2, 3)), mean, atol=0.2, rtol=0)
    spread = (luma(y) - mean[..., None, None]).std((2, 3)) / luma(x).std((2, 3))
    torch.testing.assert_close(spread[:, 0], spread[:, 1])
    assert spread.min().item() == pytest.approx(0.8, abs=0.01)
    assert spread.max().item() == pytest.approx(1.2, abs=0.01)


def test_saturation_keeps_the_luma() -> None:
    torch.manual_seed(0)
    x = smooth(300, 1)
    y = augment_pictures(x, Augment(saturation=0.1))
    torch.testing.assert_close(luma(y), luma(x), atol=0.01, rtol=0)
    before, after = x - luma(x)[..., None], y - luma(y)[..., None]
    factor = (after * before).sum((1, 2, 3, 4)) / before.square().sum((1, 2, 3, 4))
    torch.testing.assert_close(
        after, factor[:, None, None, None, None] * before, atol=0.02, rtol=0
    )
    assert factor.min().item() == pytest.approx(0.9, abs=0.01)
    assert factor.max().item() == pytest.approx(1.1, abs=0.01)


def test_hue_turns_colours_and_keeps_their_luma() -> None:
    torch.manual_seed(0)
    x = torch.tensor([150.0, 110.0, 100.0]).expand(300, 1, 2, 2, 3)
    y = augment_pictures(x, Augment(hue=0.25))
    torch.testing.assert_close(luma(y), luma(x), atol=0.01, rtol=0)
    to_yiq = torch.tensor(
        [colorsys.rgb_to_yiq(*colour) for colour in np.eye(3)], dtype=torch.float32
    )

    def plane(colours):
        return torch.view_as_complex((colours.float() @ to_yiq)[..., 1:].contiguous())

    ratio = plane(y[:, 0, 0, 0]) / plane(x[:, 0, 0, 0])
    torch.testing.assert_close(ratio.abs(), torch.ones(300), atol=0.02, rtol=0)
    angle = ratio.angle() / (2 * math.pi)
    assert angle.min().item() == pytest.approx(-0.25, abs=0.01)
    assert angle.max().item() == pytest.approx(0.25, abs=0.01)
    grey = torch.full((4, 1, 2, 2, 3), 77.0)
    torch.testing.assert_close(augment_pictures(grey, Augment(hue=0.5)), grey)


def test_half_precision_around_it_changes_nothing() -> None:
    x = smooth()
    torch.manual_seed(0)
    whole = augment_pictures(x, EVERYTHING)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augment_pictures(x, EVERYTHING), whole)


def test_colours_are_those_of_the_steps_one_after_the_other() -> None:
    x = smooth(40, 1).float()
    asked = {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.02}
    torch.manual_seed(3)
    at_once = augment_pictures(x, Augment(**asked))
    torch.manual_seed(3)
    y = x
    for name, value in asked.items():
        y = augment_pictures(y, Augment(**{name: value}))
    torch.testing.assert_close(at_once, y, atol=0.05, rtol=0)
