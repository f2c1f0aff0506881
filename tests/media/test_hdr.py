"""HDR becomes the SDR that it was graded from."""

import numpy as np
import pytest

from avaffect.media.hdr import HLG, PQ, WHITE_NITS, is_hdr, nits, to_sdr, toned


@pytest.mark.parametrize(
    ("transfer", "signal", "expected"),
    [
        # BT.2408-7, table 1 and annex: levels that are agreed upon.
        (PQ, 0.58, 203),
        (PQ, 0.0, 0),
        (PQ, 1.0, 10_000),
        (PQ, 0.508, 100),
        (HLG, 0.75, 203),
        (HLG, 0.0, 0),
        (HLG, 1.0, 1000),
        (HLG, 0.38, 26),
    ],
)
def test_signals_stand_for_the_agreed_light(transfer, signal: float, expected: int) -> None:
    assert nits(np.array([signal]), transfer)[0] == pytest.approx(expected, rel=0.02, abs=1e-9)


def test_white_comes_near_white_and_all_that_is_brighter_between() -> None:
    signal = toned(np.array([0, 0.1, 50, 100, WHITE_NITS, 1000, 10_000])) ** (1 / 2.4)
    assert (np.diff(signal) >= 0).all()
    assert 0.95 < signal[4] < 0.98
    assert signal[5] > 0.999
    assert signal[-1] <= 1
    # Up to the knee nothing changes.
    np.testing.assert_allclose(signal[:3], (np.array([0, 0.1, 50]) / 203) ** (1 / 2.4))


def pq(linear):
    """The signal of light, 1 being white, by the inverse of BT.2100's formula."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (linear * 203 / 10_000) ** m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


def test_colours_of_bt709_come_back_from_bt2020() -> None:
    # The matrix of ITU-R BT.2087, section 2.
    to_2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    sdr = np.array([[200, 100, 50], [30, 180, 90], [128, 128, 128], [10, 20, 200], [0, 0, 0]])
    hdr = pq((sdr / 255.0) ** 2.4 @ np.array(to_2020).T)
    found = to_sdr(np.rint(hdr * 65_535).astype(np.uint16)[None], PQ, 9)[0]
    assert np.abs(found.astype(int) - sdr).max() <= 1


def test_primaries_of_bt709_stay() -> None:
    sdr = np.array([[200, 100, 50]])
    hdr = np.rint(pq((sdr / 255.0) ** 2.4) * 65_535).astype(np.uint16)[None]
    assert np.abs(to_sdr(hdr, PQ, 1)[0].astype(int) - sdr).max() <= 1


def test_other_transfer_functions_are_no_hdr() -> None:
    # Unspecified, BT.709, BT.601, linear, sRGB, BT.2020 10 and 12 bit, SMPTE 428.
    assert not any(map(is_hdr, (0, 1, 2, 4, 6, 8, 13, 14, 15, 17)))
    assert is_hdr(16) and is_hdr(18)
