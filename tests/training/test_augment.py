"""Changes to windows: how often, how large, and that labels go with their frames."""

import numpy as np
import pytest
import torch

from avaffect.errors import UsageError
from avaffect.recipes.training import Augment
from avaffect.training.augment import augment, mixing, perturb_voice, stretch, warp_bands
from avaffect.windows.batch import Batch


def test_mixing_keeps_at_least_half() -> None:
    torch.manual_seed(0)
    for alpha in (0.01, 0.2, 1.0):
        drawn = [mixing(6, alpha) for _ in range(300)]
        shares = np.array([share for share, _ in drawn])
        assert shares.min() >= 0.5
        assert shares.max() <= 1
        # The larger of the two of a beta distribution, by numpy.
        beta = np.random.default_rng(0).beta(alpha, alpha, 100_000)
        assert shares.mean() == pytest.approx(np.maximum(beta, 1 - beta).mean(), abs=0.02)
        assert all(sorted(other.tolist()) == list(range(6)) for _, other in drawn)


def windows(count=400, frames=10, width=6):
    seen = torch.ones(count, frames, dtype=torch.bool)
    seen[:, 7:] = False
    return torch.zeros(count, frames, width), seen


def test_nothing_is_changed_without_settings() -> None:
    x, seen = windows()
    x = x + torch.randn(x.shape) * seen[..., None]
    assert torch.equal(augment(x, seen, Augment()), x)


def test_noise() -> None:
    torch.manual_seed(0)
    x, seen = windows()
    noisy = augment(x, seen, Augment(noise=0.3))
    assert noisy[:, :7].std().item() == pytest.approx(0.3, rel=0.02)
    assert not noisy[:, 7:].any()


def test_column_dropout() -> None:
    torch.manual_seed(0)
    _, seen = windows()
    ones = torch.ones(len(seen), 10, 6)
    kept = augment(ones, torch.ones_like(seen), Augment(column_dropout=0.25))
    assert (kept == kept[:, :1]).all()  # for the whole window
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert kept.mean().item() == pytest.approx(1, abs=0.04)
    assert kept[:, 0].std(0).min() > 0  # every column


@pytest.mark.parametrize(("axis", "what"), [(1, "time"), (2, "feature")])
def test_masks_are_single_spans_of_all_lengths_anywhere(axis: int, what: str) -> None:
    torch.manual_seed(0)
    x, seen = windows(800)
    ones = torch.ones_like(x)
    config = Augment(**{f"{what}_masks": 1, f"{what}_mask": 3})
    kept = augment(ones, torch.ones_like(seen), config)
    along = kept.amax(3 - axis)
    assert torch.equal(along, kept.amin(3 - axis))  # whole frames or whole columns
    gone = (along == 0).numpy()
    lengths = gone.sum(1)
    assert set(lengths) == {0, 1, 2, 3}
    edges = np.diff(np.pad(gone.astype(int), ((0, 0), (1, 1))), axis=1)
    assert ((edges == 1).sum(1) <= 1).all()
    assert gone.any(0).all()
    # As long as the window at most, however long the mask may be.
    config = Augment(**{f"{what}_masks": 2, f"{what}_mask": 99})
    assert not augment(ones, torch.ones_like(seen), config).all()


def batch(frames=20, length=14, windows=50):
    """Voice and labels rise by one a frame, so that they tell which frame they are of."""
    clock = torch.arange(float(frames)).repeat(windows, 1)
    exists = clock < length
    seen = exists & (clock != 5)
    columns = torch.stack((clock, 100 - clock), 2)
    return Batch(
        inputs={"voice": columns.half()},
        seen={"voice": seen},
        exists=exists,
        targets={"expr": clock.long(), "va": columns},
        valid={"expr": seen & (clock != 8), "va": seen[..., None].expand(-1, -1, 2)},
        clip=torch.zeros(windows, dtype=torch.long),
        start=torch.zeros(windows, dtype=torch.long),
    )


def test_stretched_windows_keep_features_and_labels_together() -> None:
    torch.manual_seed(0)
    before = batch()
    after = stretch(before, 0.3)
    speeds = set()
    for i in range(len(after)):
        exists = after.exists[i].numpy()
        heard = after.seen["voice"][i].numpy()
        at = after.inputs["voice"][i, :, 0].numpy()
        speed = at[1]
        speeds.add(round(float(speed), 3))
        assert 0.7 <= speed <= 1.3
        # What exists is a beginning: all that lies within the 14 frames.
        wanted = np.arange(20) * speed <= 13 + 1e-4
        np.testing.assert_array_equal(exists, wanted)
        np.testing.assert_allclose(at[heard], np.arange(20)[heard] * speed, atol=1e-4)
        np.testing.assert_allclose(100 - at[heard], after.inputs["voice"][i, heard, 1], atol=1e-4)
        # Nothing is made of the frame without voice, nor of what lies beyond the end.
        assert not heard[(at > 4) & (at < 6)].any()
        assert not heard[~exists].any()
        for task, mask in after.valid.items():
            valid = mask[i].numpy() if mask.ndim == 2 else mask[i, :, 0].numpy()
            true = after.targets[task][i].numpy()
            true = true if true.ndim == 1 else true[:, 0]
            assert valid.sum() > 5
            assert not valid[~exists].any()
            assert (np.abs(true - np.arange(20) * speed)[valid] <= 0.5 + 1e-4).all()
            assert 5 not in true[valid]
            assert task == "va" or 8 not in true[valid]
    assert len(speeds) > 40
    assert min(speeds) < 0.8
    assert max(speeds) > 1.2
    assert torch.equal(before.exists, batch().exists)


def bands(windows=3, frames=5):
    """Decibels of 128 bands and the MFCC that librosa makes of them, float16 as stored."""
    import librosa

    rng = np.random.default_rng(0)
    decibels = rng.normal(size=(windows, frames, 128)).cumsum(2) - 40
    mfcc = librosa.feature.mfcc(S=decibels.transpose(0, 2, 1), n_mfcc=40).transpose(0, 2, 1)
    return torch.from_numpy(np.concatenate((mfcc, decibels), 2)).float()


def test_louder_voices() -> None:
    torch.manual_seed(0)
    x = bands(200)
    louder = perturb_voice(x, Augment(gain_db=3.0)) - x
    gain = louder[:, :1, 40:41]
    torch.testing.assert_close(louder[..., 40:], gain.expand(-1, 5, 128), atol=1e-3, rtol=0)
    assert gain.std().item() == pytest.approx(3, rel=0.15)
    # A constant added to all bands is in the first coefficient alone.
    torch.testing.assert_close(
        louder[..., :1], gain.expand(-1, 5, 1) * 128**0.5, atol=1e-2, rtol=0
    )
    assert louder[..., 1:40].abs().max() < 1e-2


def test_other_vocal_tracts() -> None:
    import librosa

    x = bands()
    hertz = librosa.mel_frequencies(130, fmin=0, fmax=8000)[1:-1]
    torch.testing.assert_close(warp_bands(torch.ones(2))[:, :, :-1], torch.eye(128)[None, :, :-1]
                               .expand(2, -1, -1), atol=1e-2, rtol=0)  # fmt: skip
    for factor in (0.85, 1.2):
        found = (x[..., 40:] @ warp_bands(torch.tensor([factor] * 3))).numpy()
        mel = librosa.hz_to_mel(hertz / factor)
        for frame in x[1, :, 40:].numpy():
            expected = np.interp(mel, librosa.hz_to_mel(hertz), frame)
            np.testing.assert_allclose(found[1, (x[1, :, 40:].numpy() == frame).all(1)][0],
                                       expected, atol=0.05)  # fmt: skip
    torch.manual_seed(0)
    changed = perturb_voice(x, Augment(vtlp=0.2)).numpy()
    assert np.abs(changed - x.numpy()).max() > 1
    mfcc = librosa.feature.mfcc(S=changed[..., 40:].transpose(0, 2, 1), n_mfcc=40)
    np.testing.assert_allclose(changed[..., :40], mfcc.transpose(0, 2, 1), atol=1e-3)


def test_voices_are_changed_in_float32_under_autocast() -> None:
    x, found = bands(), []
    for half in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            found.append(perturb_voice(x, Augment(vtlp=0.2, gain_db=3.0)))
    assert found[1].dtype == torch.float32
    torch.testing.assert_close(found[1], found[0])


def test_voices_that_cannot_be_changed() -> None:
    x = torch.zeros(2, 3, 10)
    assert perturb_voice(x, Augment()) is x
    with pytest.raises(UsageError, match="not 10 features"):
        perturb_voice(x, Augment(vtlp=0.1))
