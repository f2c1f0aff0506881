"""Folds: every clip in one, groups whole, the same for the same seed, saved and checked."""

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.datasets.clip import Clip
from avaffect.datasets.folds import Folds, counts, make_folds
from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError, UsageError


@dataclass
class Rows:
    """Features that nobody reads."""

    frames: int
    specs = {}  # noqa: RUF012

    def array(self, name, start=0, stop=None):
        raise AssertionError


def clip(name, group, frames=10, fold=None):
    return Clip(name, group, Rows(frames), fold=fold)


@st.composite
def datasets(draw, least=2):
    """Clips of ``least`` or more groups."""
    groups = draw(st.integers(least, 12))
    owners = [*range(groups), *draw(st.lists(st.integers(0, groups - 1), max_size=20))]
    frames = st.integers(0, 1000)
    return [clip(f"c{i}", f"g{owner}", draw(frames)) for i, owner in enumerate(owners)]


def group_folds(folds, clips):
    """Of each group, the folds that its clips are in."""
    found = {}
    for clip in clips:
        found.setdefault(clip.group, set()).add(folds.folds[clip.name])
    return found


@given(clips=datasets(), seed=st.integers(0, 99), data=st.data())
def test_k_folds(clips, seed, data) -> None:
    groups = {clip.group for clip in clips}
    k = data.draw(st.integers(2, len(groups)))
    folds = make_folds(clips, k, seed=seed)
    assert folds.numbers == tuple(range(k))
    assert folds.folds.keys() == {clip.name for clip in clips}
    assert all(len(numbers) == 1 for numbers in group_folds(folds, clips).values())
    sizes = [sum(clip.frames for clip in folds.split(clips, i)[1]) for i in range(k)]
    largest = max(sum(clip.frames for clip in clips if clip.group == group) for group in groups)
    assert max(sizes) - min(sizes) <= largest
    held = [clip.name for i in range(k) for clip in folds.split(clips, i)[1]]
    assert sorted(held) == sorted(clip.name for clip in clips)
    for i in range(k):
        train, val = folds.split(clips, i)
        assert not {clip.group for clip in train} & {clip.group for clip in val}
        assert [clip for clip in clips if clip in train or clip in val] == clips
    shuffled = random.Random(seed).sample(clips, len(clips))
    assert make_folds(shuffled, k, seed=seed) == folds
    assert list(make_folds(shuffled, k, seed=seed).folds) == list(folds.folds)


def test_the_seed_matters() -> None:
    clips = [clip(f"c{i}", f"g{i}") for i in range(20)]
    found = {tuple(make_folds(clips, 4, seed=seed).folds.values()) for seed in range(5)}
    assert len(found) == 5


def test_equal_groups_make_equal_folds() -> None:
    clips = [clip(f"c{i}", f"g{i % 24}") for i in range(1440)]
    folds = make_folds(clips, 5, seed=3)
    held = [len(folds.split(clips, i)[1]) for i in range(5)]
    assert sorted(held) == [240, 300, 300, 300, 300]


@given(clips=datasets())
def test_leave_one_out(clips) -> None:
    folds = make_folds(clips, None)
    found = group_folds(folds, clips)
    assert all(len(numbers) == 1 for numbers in found.values())
    assert len(folds.numbers) == len(found)
    for i in folds.numbers:
        assert len({clip.group for clip in folds.split(clips, i)[1]}) == 1


def test_leave_one_out_counts_as_people_do() -> None:
    clips = [clip(f"c{i}", f"S{i}") for i in (10, 2, 1)]
    assert dict(make_folds(clips, None).folds) == {"c1": 0, "c2": 1, "c10": 2}


def test_left_and_right_stay_together() -> None:
    clips = [clip(f"v{i}_{side}", f"v{i}") for i in range(6) for side in ("left", "right")]
    folds = make_folds(clips, 3)
    assert all(folds.folds[f"v{i}_left"] == folds.folds[f"v{i}_right"] for i in range(6))


def test_given_folds_keep_their_numbers() -> None:
    clips = [clip("b", "2", fold=7), clip("a", "1", fold=3), clip("c", "2", fold=7)]
    folds = make_folds(clips, None, by="fold")
    assert (dict(folds.folds), folds.method) == ({"a": 3, "b": 7, "c": 7}, "given")
    train, val = folds.split(clips, 7)
    assert ([clip.name for clip in train], [clip.name for clip in val]) == (["a"], ["b", "c"])


@pytest.mark.parametrize(
    ("clips", "says"),
    [
        ([clip("a", "1", fold=0), clip("b", "2")], "'b' in no fold"),
        ([clip("a", "1", fold=0), clip("b", "2", fold=0)], "one fold only"),
        ([clip("a", "1", fold=0), clip("b", "1", fold=1)], "'a' and 'b' of the group '1'"),
        ([], "one fold only"),
    ],
)
def test_given_folds_that_are_none(clips, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_folds(clips, 5, by="fold")


def test_too_few_groups() -> None:
    clips = [clip("a", "1"), clip("b", "2")]
    for k in (0, 1, 3):
        with pytest.raises(UsageError, match=f"2 groups cannot make {k} folds"):
            make_folds(clips, k)
    with pytest.raises(UsageError, match="left out"):
        make_folds(clips[:1], None)
    with pytest.raises(UnknownNameError, match="group"):
        make_folds(clips, 2, by="groups")
    with pytest.raises(UsageError, match="no fold 2"):
        make_folds(clips, 2).split(clips, 2)


@given(clips=datasets(), seed=st.integers(0, 9))
def test_saved_and_read_back(tmp_path_factory: pytest.TempPathFactory, clips, seed) -> None:
    path = tmp_path_factory.mktemp("f") / "folds.json"
    folds = make_folds(clips, 2, seed=seed)
    folds.save(path)
    assert Folds.load(path, clips) == folds


def test_other_data_are_refused_by_name(tmp_path: Path) -> None:
    clips = [clip("a", "1"), clip("b", "2"), clip("c", "3")]
    make_folds(clips, None).save(tmp_path / "f.json")
    load = tmp_path / "f.json"
    with pytest.raises(UsageError, match="'new' is in no fold"):
        Folds.load(load, [*clips, clip("new", "4")])
    with pytest.raises(UsageError, match="name the clip 'b'"):
        Folds.load(load, [clips[0], clips[2]])
    with pytest.raises(UsageError, match="'b' and 'c' of the group '2'"):
        Folds.load(load, [*clips[:2], replace(clips[2], group="2")])


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"method": "magic"},
        {"seed": None},
        {"folds": []},
        {"folds": {"a": "0", "b": 1}},
        {"folds": {"a": 0, "b": True}},
        {"folds": {"a": 0, "b": -1}},
        {"folds": {"a": 0, "b": 0}},
    ],
)
def test_a_file_that_holds_no_folds(tmp_path: Path, change) -> None:
    clips = [clip("a", "1"), clip("b", "2")]
    path = tmp_path / "f.json"
    make_folds(clips, 2).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FormatError, match=r"f\.json"):
        Folds.load(path, clips)


def test_no_file_or_rubbish(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        Folds.load(tmp_path / "f.json", [])
    for text in (b"{", b"[]", b"3", np.arange(9).tobytes() + b"\xff"):
        (tmp_path / "f.json").write_bytes(text)
        with pytest.raises(FormatError):
            Folds.load(tmp_path / "f.json", [])


def crossed(listeners: int = 4, stories: int = 3, frames: int = 10) -> list[Clip]:
    """Everyone hears every story."""
    return [
        replace(clip(f"L{i}_{story}", f"L{i}", frames), stimulus=f"S{story}")
        for i in range(listeners)
        for story in range(stories)
    ]


@given(
    k=st.tuples(st.integers(2, 4), st.integers(2, 3)),
    seed=st.integers(0, 9),
    lacking=st.sets(st.integers(0, 11), max_size=4),
)
def test_no_fold_is_trained_with_a_group_or_stimulus_that_it_holds_out(k, seed, lacking) -> None:
    clips = [each for i, each in enumerate(crossed()) if i not in lacking]
    if len({each.group for each in clips}) < k[0]:
        return
    folds = make_folds(clips, k, seed=seed)
    assert folds.numbers == tuple(range(len(folds.numbers)))
    assert len(folds.numbers) <= k[0] * k[1]
    held = [name for number in folds.numbers for name in folds.held(number)]
    assert sorted(held) == sorted(each.name for each in clips)
    for number in folds.numbers:
        val = [each for each in clips if each.name in folds.held(number)]
        groups, stimuli = {each.group for each in val}, {each.stimulus for each in val}
        # All that shares neither is there, and nothing else.
        known = [
            each for each in clips if each.group not in groups and each.stimulus not in stimuli
        ]
        if known:
            assert folds.split(clips, number) == (tuple(known), tuple(val))
        else:
            with pytest.raises(UsageError, match="none is left to train with"):
                folds.split(clips, number)
    assert make_folds(random.Random(seed).sample(clips, len(clips)), k, seed=seed) == folds


def test_equal_groups_and_stimuli_make_equal_blocks() -> None:
    clips = crossed(10, 5)
    folds = make_folds(clips, (5, 5))
    assert len(folds.numbers) == 25
    for number in folds.numbers:
        learned, val = folds.split(clips, number)
        assert (len(learned), len(val)) == (8 * 4, 2)
        assert len({each.stimulus for each in val}) == 1


def test_one_clip_left_out_of_its_group_and_stimulus() -> None:
    clips = crossed(3, 2)
    folds = make_folds(clips, None)
    assert dict(folds.folds) == {each.name: number for number, each in enumerate(clips)}
    learned, _ = folds.split(clips, 0)
    assert [each.name for each in learned] == ["L1_1", "L2_1"]


def test_given_folds_may_part_a_group_whose_clips_name_stimuli() -> None:
    clips = [replace(each, fold=int(each.stimulus[1:])) for each in crossed(2, 2)]
    clips += [replace(each, name=f"{each.name}b", group="M", fold=2) for each in crossed(1, 3)[2:]]
    folds = make_folds(clips, None, by="fold")
    assert [each.name for each in folds.split(clips, 0)[0]] == ["L0_2b"]
    bare = [replace(each, stimulus="") for each in clips]
    with pytest.raises(UsageError, match="'L0_0' and 'L0_1' of the group 'L0'"):
        folds.check(bare)
    nobody = make_folds(clips[:4], None, by="fold")
    with pytest.raises(UsageError, match="none is left to train with"):
        nobody.split(clips[:4], 0)


def test_an_inner_part_is_of_whole_groups_that_share_nothing_with_the_fold() -> None:
    clips = crossed(6, 3)
    folds = replace(make_folds(clips, (3, 3)), inner=2)
    learned, aside, held = folds.parts(clips, 0)
    assert not {each.group for each in learned} & {each.group for each in aside}
    names = sorted(each.name for each in (*learned, *aside))
    assert names == sorted(each.name for each in folds.split(clips, 0)[0])
    assert aside
    assert held == folds.split(clips, 0)[1]


def test_crossed_folds_are_saved_and_read_back(tmp_path: Path) -> None:
    clips = crossed()
    folds = make_folds(clips, (2, 3), seed=1)
    folds.save(tmp_path / "f.json")
    assert Folds.load(tmp_path / "f.json", clips) == folds


@pytest.mark.parametrize(
    ("clips", "k", "says"),
    [
        (crossed(), 2, 'the clips name stimuli, .* ask for folds of both, as folds="2x2"'),
        ([clip("a", "1"), clip("b", "2")], (2, 2), "no clip names a stimulus .* stimulus=story"),
        (crossed(4, 3), (5, 3), "4 groups cannot make 5 folds"),
        (crossed(4, 3), (4, 4), "3 stimuli cannot make 4 folds"),
        (crossed(4, 1), (4, 2), "1 stimuli cannot make 2 folds"),
    ],
)
def test_folds_that_cannot_be_crossed(clips, k, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_folds(clips, k)


def test_how_many_folds_a_text_asks_for() -> None:
    assert (counts("5"), counts("05x4")) == (5, (5, 4))
    for text in ("1", "0x5", "5x1", "x5", "5x", "5x5x5", "-2", "5 x 5", "²", "five", "", "9" * 99):
        with pytest.raises(UsageError, match="no way to make folds"):
            counts(text)
