"""Weights of classes, units, values and windows, against scipy, scikit-learn and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve1d, gaussian_filter1d
from sklearn.utils.class_weight import compute_class_weight

from avaffect.errors import UsageError
from avaffect.recipes.training import Loss
from avaffect.training.balance import (
    UNIT_LIMIT,
    LabelWeights,
    bin_edges,
    class_weights,
    label_counts,
    label_weights,
    lds_weights,
    unit_weights,
    window_weights,
)

MODES = ("inverse", "sqrt_inverse")
counts_of_bins = st.lists(st.integers(0, 10_000), min_size=1, max_size=30).filter(any)


def reference_lds(bin_of_sample, bins, reweight, kernel, sigma):
    """`_prepare_weights` of github.com/YyzHarry/imbalanced-regression (agedb-dir/datasets.py),
    with bins for years."""
    value_dict = {x: 0 for x in range(bins)}
    for label in bin_of_sample:
        value_dict[label] += 1
    if reweight == "sqrt_inverse":
        value_dict = {k: np.sqrt(v) for k, v in value_dict.items()}
    else:
        value_dict = {k: np.clip(v, 5, 1000) for k, v in value_dict.items()}
    half = (kernel - 1) // 2
    base = [0.0] * half + [1.0] + [0.0] * half
    window = gaussian_filter1d(base, sigma=sigma) / max(gaussian_filter1d(base, sigma=sigma))
    values = np.asarray([float(v) for v in value_dict.values()])
    smoothed = convolve1d(values, weights=window, mode="constant")
    weights = [np.float32(1 / smoothed[label]) for label in bin_of_sample]
    scaling = len(weights) / np.sum(weights)
    return np.asarray([scaling * x for x in weights])


class TestLabelCounts:
    def test_expression(self) -> None:
        labels = np.array([0, 2, -1, 2, -1])
        assert label_counts("expr", labels, 4).tolist() == [1, 0, 2, 0]

    def test_action_units(self) -> None:
        labels = np.array([[0, 1], [1, 1], [-1, 1], [0, -1]], np.int8)
        # Unit 0: two negatives, one positive. Unit 1: three positives.
        assert label_counts("au", labels, 2).tolist() == [[2, 1], [0, 3]]

    def test_values_by_hand(self) -> None:
        labels = np.array([[-1, 1], [-0.5, np.nan], [0, 0.49], [np.nan, -0.01]], np.float32)
        # Bins [-1, -.5) [-.5, 0) [0, .5) [.5, 1].
        assert label_counts("va", labels, 2, 4).tolist() == [[1, 1, 1, 0], [0, 1, 1, 1]]

    @given(st.lists(st.floats(-1, 1, width=32), max_size=60), st.integers(1, 40))
    def test_values_against_numpy(self, values, bins) -> None:
        labels = np.array(values, np.float32)[:, None]
        expected = np.histogram(labels, bin_edges(bins))[0]
        assert label_counts("va", labels, 1, bins)[0].tolist() == expected.tolist()

    @pytest.mark.parametrize(
        ("task", "labels", "shape"),
        [
            ("expr", np.empty(0, np.int64), (8,)),
            ("au", np.empty((0, 12), np.int8), (12, 2)),
            ("va", np.empty((0, 2), np.float32), (2, 20)),
        ],
    )
    def test_no_frame(self, task: str, labels, shape) -> None:
        counts = label_counts(task, labels, shape[0])
        assert counts.shape == shape
        assert not counts.any()


class TestClassWeights:
    @given(st.lists(st.integers(1, 100_000), min_size=1, max_size=10))
    def test_proportional_to_scikit_learns(self, counts) -> None:
        labels = np.repeat(np.arange(len(counts)), np.minimum(counts, 50))
        expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
        weights = class_weights(np.minimum(counts, 50), "inverse")
        assert weights == pytest.approx(expected / expected.mean(), rel=1e-5)

    def test_root_by_hand(self) -> None:
        # 1/sqrt: 1/2, 1/6, mean 1/3.
        assert class_weights([4, 36], "sqrt_inverse") == pytest.approx([1.5, 0.5])

    @pytest.mark.parametrize("mode", MODES)
    def test_absent_class_weighs_one_and_changes_no_other(self, mode: str) -> None:
        weights = class_weights([10, 0, 1000], mode)
        assert weights[1] == 1
        assert weights[[0, 2]] == pytest.approx(class_weights([10, 1000], mode))
        assert class_weights([0, 0], mode).tolist() == [1, 1]


class TestUnitWeights:
    def test_by_hand(self) -> None:
        counts = [[90, 10], [20, 80]]
        assert unit_weights(counts, "inverse") == pytest.approx([9, 0.25])
        assert unit_weights(counts, "sqrt_inverse") == pytest.approx([3, 0.5])

    def test_bounded(self) -> None:
        weights = unit_weights([[10**6, 1], [1, 10**6]], "inverse")
        assert weights == pytest.approx([UNIT_LIMIT, 1 / UNIT_LIMIT])

    def test_frequency_by_hand(self) -> None:
        # Present in a tenth and in four of five frames: 10 and 1.25, mean 5.625; the third has
        # nothing to say.
        weights = unit_weights([[90, 10], [20, 80], [100, 0]], "frequency")
        assert weights == pytest.approx([10 / 5.625, 1.25 / 5.625, 1])

    def test_frequency_has_a_mean_of_one(self) -> None:
        counts = np.array([[95, 5], [50, 50], [38, 62], [97, 3]]) * 1000
        assert unit_weights(counts, "frequency").mean() == pytest.approx(1)

    def test_unit_that_never_changes_weighs_one(self) -> None:
        for mode in (*MODES, "frequency"):
            assert unit_weights([[50, 0], [0, 50], [0, 0]], mode).tolist() == [1, 1, 1]


class TestLds:
    @pytest.mark.parametrize("kernel_sigma", [(5, 2.0), (9, 1.0), (1, 2.0)])
    @pytest.mark.parametrize("mode", MODES)
    def test_equals_the_reference_code(self, mode: str, kernel_sigma) -> None:
        # 100 samples a bin in the mean: there the relative bounds are the reference's 5 and 1000.
        counts = np.array([1, 3, 20, 60, 300, 1400, 150, 50, 10, 6])
        assert counts.sum() == 2000
        counts = np.concatenate([counts, np.zeros(10, int)])
        samples = np.repeat(np.arange(20), counts)
        expected = reference_lds(samples, 20, mode, *kernel_sigma)
        assert lds_weights(counts, mode, *kernel_sigma)[samples] == pytest.approx(
            expected, rel=1e-5
        )

    @given(counts_of_bins, st.sampled_from(MODES), st.sampled_from([1, 3, 5, 9]))
    def test_mean_over_frames_is_one(self, counts, mode, kernel) -> None:
        weights = lds_weights(counts, mode, kernel, 2.0)
        assert weights.dtype == np.float32
        assert np.isfinite(weights).all()
        assert (weights > 0).all()
        assert np.average(weights.astype(float), weights=counts) == pytest.approx(1, rel=1e-5)

    @given(counts_of_bins, st.integers(2, 100))
    def test_inverse_does_not_depend_on_the_number_of_frames(self, counts, times) -> None:
        # Each density must exceed the floor of one frame: the lower bound is a 20th of the mean.
        counts = np.array(counts) + 20
        some = lds_weights(counts, "inverse", 5, 2.0)
        assert lds_weights(counts * times, "inverse", 5, 2.0) == pytest.approx(some, rel=1e-5)

    def test_many_frames_still_weight(self) -> None:
        """Bounds of 5 and 1000 frames would make a set the size of Aff-Wild2 flat."""
        counts = np.full(20, 20_000)
        counts[10] = 1_000_000
        weights = lds_weights(counts, "inverse", 1, 2.0)
        assert weights[0] / weights[10] > 10

    def test_empty_bins_are_floored(self) -> None:
        # Without smoothing density is 0 in the empty bins; one frame's would be 1, so that the
        # weights are 1/10, 1, 1 before scaling by 100 / (100 / 10).
        assert lds_weights([100, 0, 0], "sqrt_inverse", 1, 2.0) == pytest.approx([1, 10, 10])

    @pytest.mark.parametrize("mode", MODES)
    def test_nothing_to_count(self, mode: str) -> None:
        assert lds_weights(np.zeros(4), mode, 5, 2.0).tolist() == [1, 1, 1, 1]


class TestLabelWeights:
    def test_nothing_asked_reads_nothing(self) -> None:
        def clips():
            raise AssertionError("read")
            yield

        for task in ("va", "expr", "au"):
            assert label_weights(task, Loss({"x": 1}), clips(), 8) == LabelWeights()

    def test_expression_over_clips(self) -> None:
        clips = iter([np.array([0, 0, -1]), np.array([0, 1]), np.empty(0, np.int64)])
        weights = label_weights("expr", Loss({"x": 1}, balance="inverse"), clips, 3)
        # 1/3 and 1 over their mean 2/3; class 2 does not occur.
        assert weights.classes == pytest.approx([0.5, 1.5, 1])
        assert weights.units is None
        assert weights.bins is None

    def test_action_units_over_clips(self) -> None:
        clips = [np.array([[0, 1], [0, -1]], np.int8), np.array([[1, 0], [-1, -1]], np.int8)]
        weights = label_weights("au", Loss({"x": 1}, balance="inverse"), clips, 2)
        assert weights.units == pytest.approx([2, 1])
        assert weights.classes is None

    @pytest.mark.parametrize("mode", MODES)
    def test_dimensions_apart(self, mode: str) -> None:
        rng = np.random.default_rng(0)
        clips = [rng.uniform(-1, 1, (500, 2)).astype(np.float32) for _ in range(3)]
        for clip in clips:
            clip[:, 1] = np.abs(clip[:, 1])
            clip[::7, 0] = np.nan
        config = Loss({"x": 1}, lds=mode, lds_bins=10, lds_kernel=3, lds_sigma=1)
        weights = label_weights("va", config, clips, 2).bins
        every = np.concatenate(clips)
        for dimension in (0, 1):
            values = every[:, dimension]
            counts = np.histogram(values[~np.isnan(values)], 10, (-1, 1))[0]
            assert weights[dimension] == pytest.approx(lds_weights(counts, mode, 3, 1.0))

    def test_no_clip(self) -> None:
        assert label_weights("va", Loss({"x": 1}, lds="inverse"), [], 2) == LabelWeights()

    def test_option_of_another_task(self) -> None:
        with pytest.raises(UsageError, match="lds"):
            label_weights("va", Loss({"x": 1}, balance="inverse"), [], 2)
        for task in ("expr", "au"):
            with pytest.raises(UsageError, match="balance"):
                label_weights(task, Loss({"x": 1}, lds="inverse"), [], 2)


class TestWindowWeights:
    def test_by_hand(self) -> None:
        # Classes occur 8 and 2 times. Windows: 1/8, (1/8 + 1/2) / 2 = 5/16, none; sum 9/16 with
        # the first twice.
        counts = [[3, 0], [3, 0], [2, 2], [0, 0]]
        assert window_weights(counts) == pytest.approx(np.array([2, 2, 5, 0]) / 9)

    @given(st.lists(st.integers(1, 30), min_size=2, max_size=8))
    def test_windows_of_one_class_are_drawn_alike(self, windows) -> None:
        counts = np.repeat(np.eye(len(windows)) * 15, windows, axis=0)
        drawn = window_weights(counts) @ counts
        assert drawn == pytest.approx(np.full(len(windows), 15 / len(windows)))

    @given(
        st.lists(
            st.lists(st.integers(0, 20), min_size=3, max_size=3), min_size=1, max_size=20
        ).filter(lambda rows: any(map(any, rows)))
    )
    def test_a_distribution(self, counts) -> None:
        weights = window_weights(counts)
        assert weights.dtype == np.float64
        assert math.isclose(weights.sum(), 1)
        assert ((weights > 0) == np.any(counts, axis=1)).all()

    def test_action_units_without_a_positive_are_drawn_too(self) -> None:
        active = np.zeros((4, 2), np.int8)
        active[0] = 1
        counts = [label_counts("au", labels, 2) for labels in (active, np.zeros_like(active))]
        # Each unit: negatives 3 and 4 of 7, positives 1. First window, by unit: (3/7 + 1/1) / 4.
        assert window_weights(counts) == pytest.approx(np.array([10, 4]) / 14)

    def test_no_label_at_all(self) -> None:
        with pytest.raises(UsageError, match="shuffle"):
            window_weights(np.zeros((3, 8)))
