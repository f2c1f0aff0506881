"""Following faces: in a painted world, where everything is known, and on the sample clips."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avaffect.config import FaceConfig
from avaffect.faces.align import AFFWILD2
from avaffect.faces.appearance import describe, similarity
from avaffect.faces.detectors.boxes import iou
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face import MESH_POINTS, Detection, Face
from avaffect.faces.landmarks import FIVE_POINTS, ROI_SCALE, Landmarker
from avaffect.faces.track import (
    LOOK_EVERY_S,
    REMEMBERED,
    SIMILAR_ANYWHERE,
    SIMILAR_HERE,
    Tracker,
)
from avaffect.media.frames import Frame, FrameReader

FPS = 25
WIDTH, HEIGHT = 320, 200

# --- A world of painted people ------------------------------------------------------------------


def unit_mesh():
    """A mesh in the unit square with the five points where alignment wants them."""
    mesh = np.random.default_rng(0).uniform(0, 1, (MESH_POINTS, 3)).astype(np.float32)
    mesh[0], mesh[1] = 0, 1
    mesh[list(FIVE_POINTS), :2] = AFFWILD2.template
    # Eye corners, which the turn of the region is measured at: level.
    mesh[[33, 133], :2] = 0.34, 0.46
    mesh[[362, 263], :2] = 0.66, 0.46
    return mesh


UNIT_MESH = unit_mesh()


@cache
def colours(seed):
    """Those of an actor's hair and clothes, and the pattern of the face; not to be changed."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (2, 3)), rng.integers(40, 256, (4, 4, 3)).astype(np.uint8)


@lru_cache(maxsize=8)
def wall(seed):
    """What is behind the actors; not to be changed."""
    image = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 20, WIDTH // 20, 3), np.uint8)
    return image.repeat(20, 0).repeat(20, 1)


@dataclass
class Actor:
    """A person: colours, and centre and size at each frame (None: not there). Later ones stand
    in front."""

    seed: int
    path: Callable[[int], tuple[float, float, float] | None]
    sure: float = 0.99

    def paint(self, image, place, at):
        hair, clothes, face = body(*place)
        (image[hair], image[clothes]), pattern = colours(self.seed)
        height, width = image[face].shape[:2]
        if height and width:
            image[face] = cv2.resize(pattern, (width, height), interpolation=cv2.INTER_NEAREST)


def body(x, y, size):
    """Hair, clothes and, in front of both, the face, as slices of the picture."""

    def part(left, top, right, bottom):
        sides = [(y + top * size, y + bottom * size), (x + left * size, x + right * size)]
        return tuple(slice(max(0, round(low)), max(0, round(high))) for low, high in sides)

    return (
        part(-0.55, -1.1, 0.55, 0.3),
        part(-0.9, 0.5, 0.9, 2.0),
        part(-0.5, -0.5, 0.5, 0.5),
    )


def box_of(x, y, size):
    return np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)


@dataclass
class World:
    """Paints frames, and stands in for both nets in the frame painted last.

    A face's confidence beyond the second digit tells who it is, so that tests can check.
    """

    actors: list[Actor]
    backdrop: int = 1000
    detector_runs: list[int] = field(default_factory=list)
    landmark_runs: int = 0

    def frame(self, index, backdrop=None):
        self.index = index
        image = wall(self.backdrop if backdrop is None else backdrop).copy()
        self.there = {}
        self.painted = np.full((HEIGHT, WIDTH), -1)
        for who, actor in enumerate(self.actors):
            if (place := actor.path(index)) is not None:
                actor.paint(image, place, index)
                for part in body(*place):
                    self.painted[part] = who
                self.there[who] = place
        return Frame(index, index / FPS, image)

    def hidden(self, who):
        """The part of a face that others cover, with hair and clothes."""
        return float((self.painted[body(*self.there[who])[2]] > who).mean())

    def detect(self, image):
        self.detector_runs.append(self.index)
        found = []
        for who, (x, y, size) in self.there.items():
            if 0 < x < WIDTH and self.hidden(who) < 0.4:
                corner = np.array([x - size / 2, y - size / 2])
                points = (corner + AFFWILD2.template * size).astype(np.float32)
                found.append(Detection(box_of(x, y, size * 1.1), points, 0.9))
        return found

    def landmarks(self, image, roi):
        """The face nearest to the middle of the region, if it is near enough and to be seen."""
        self.landmark_runs += 1
        reach = roi.size / ROI_SCALE / 2
        near = [
            (np.hypot(x - roi.x, y - roi.y), -who)
            for who, (x, y, size) in self.there.items()
            if np.hypot(x - roi.x, y - roi.y) < reach and self.hidden(who) < 0.6
        ]
        return self.face(-min(near)[1]) if near else None

    def face(self, who):
        x, y, size = self.there[who]
        mesh = UNIT_MESH * np.float32(size)
        mesh[:, :2] += np.array([x - size / 2, y - size / 2], np.float32)
        return Face(
            box=np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)]),
            points=mesh[list(FIVE_POINTS), :2].copy(),
            mesh=mesh,
            confidence=self.actors[who].sure - who * 1e-4,
        )

    def who(self, face):
        return round((self.actors[0].sure - face.confidence) / 1e-4)

    def tracker(self, **config):
        return Tracker(self.detect, self.landmarks, FaceConfig(**config))

    def run(self, frames, tracker=None, backdrop=lambda at: None):
        """For each frame the numbers of those who are seen: {who: number}."""
        tracker = tracker or self.tracker()
        seen = []
        for at in range(frames):
            tracked = tracker.update(self.frame(at, backdrop(at)))
            numbers = [each.track for each in tracked]
            assert len(set(numbers)) == len(numbers)
            seen.append({self.who(each.face): each.track for each in tracked})
            assert len(seen[-1]) == len(tracked), "one face has two numbers"
        return seen


def numbers_of(seen):
    """Who had which numbers: {who: {numbers}}."""
    found = defaultdict(set)
    for frame in seen:
        for who, number in frame.items():
            found[who].add(number)
    return dict(found)


def still(x=100, y=90, size=50):
    return lambda at: (x, y, size)


def away(path, first, last):
    """``path``, but not there in the frames from ``first`` to before ``last``."""
    return lambda at: None if first <= at < last else path(at)


# --- One face -----------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 4, 15])
def test_a_face_is_followed_by_its_landmarks_and_detected_now_and_then(every: int) -> None:
    world = World([Actor(1, lambda at: (60 + 2 * at, 90 + at % 3, 50))])
    seen = world.run(61, world.tracker(detect_every=every))
    assert seen == [{0: 1}] * 61
    assert world.detector_runs == list(range(0, 61, every))
    assert world.landmark_runs == 61


def test_without_a_face_every_frame_is_searched() -> None:
    world = World([Actor(1, away(still(), 0, 20))])
    assert world.run(30) == [{}] * 20 + [{0: 1}] * 10
    assert world.detector_runs == list(range(21))


def test_a_face_that_moves_fast_is_found_again_in_the_same_frame() -> None:
    world = World([Actor(1, lambda at: (60 + 45 * (at // 4), 90, 50))])
    assert world.run(20) == [{0: 1}] * 20
    assert world.detector_runs == [0, 4, 8, 12, 16]


def test_low_confidence_calls_the_detector_at_once() -> None:
    world = World([Actor(1, still())])
    tracker = world.tracker(min_presence=0.5)
    world.run(5, tracker)
    world.actors[0].sure = 0.4
    assert [tracker.update(world.frame(at)) for at in (5, 6)] == [[], []]
    world.actors[0].sure = 0.9
    assert [each.track for each in tracker.update(world.frame(7))] == [1]
    assert world.detector_runs == [0, 5, 6, 7]


def test_who_is_missing_is_searched_less_and_less_often() -> None:
    world = World([Actor(1, still(80)), Actor(2, away(still(230), 10, 400))])
    world.run(400)
    after = [at for at in world.detector_runs if at >= 10]
    pauses = np.diff(after)
    assert after[0] == 10
    assert (pauses[:10] == 1).all()
    assert (np.diff(pauses) >= 0).all()
    assert pauses.max() == 15
    assert len(after) < 80


@pytest.mark.parametrize("gone", [1, 10, 40, 200])
def test_a_face_that_comes_back_elsewhere_keeps_its_number(gone: int) -> None:
    path = lambda at: (80, 90, 50) if at < 20 else (220, 100, 60)  # noqa: E731
    world = World([Actor(1, away(path, 20, 20 + gone))])
    seen = world.run(20 + gone + 20)
    assert numbers_of(seen) == {0: {1}}
    assert seen[20 + gone] == {0: 1}


def test_another_face_in_the_same_place_gets_another_number() -> None:
    world = World([Actor(1, away(still(), 20, 99)), Actor(2, away(still(), 0, 22))])
    assert numbers_of(world.run(60)) == {0: {1}, 1: {2}}


def test_landmarks_that_slip_onto_another_face_are_noticed() -> None:
    """One takes the other's place between two frames, and the picture changes too little."""
    path = still(100, 100, 30)
    world = World([Actor(1, away(path, 20, 99)), Actor(2, away(path, 0, 20))])
    seen = world.run(60)
    latest = 20 + round(LOOK_EVERY_S * FPS)
    assert seen[20] == {1: 1}
    assert seen[latest:] == [{1: 2}] * (60 - latest)


@dataclass
class Changing(Actor):
    """Turns into somebody else by the part (0..1) that ``part`` gives for a frame."""

    part: Callable[[int], float] = lambda at: 0.0

    def paint(self, image, place, at):
        super().paint(image, place, at)
        other = image.copy()
        Actor(self.seed + 1, self.path).paint(other, place, at)
        part = min(1.0, self.part(at))
        image[:] = (image * (1 - part) + other * part).astype(np.uint8)


def test_a_face_that_changes_slowly_stays_itself() -> None:
    world = World([Changing(1, still(), part=lambda at: at / 250)])
    assert numbers_of(world.run(280)) == {0: {1}}


@pytest.mark.parametrize(
    ("place", "gone", "cut", "number"),
    [
        ((80, 90, 40), 5, False, 1),
        ((110, 90, 40), 5, False, 1),
        ((260, 90, 40), 5, False, 2),
        ((80, 90, 40), 90, False, 2),
        ((80, 90, 40), 5, True, 2),
    ],
)
def test_the_longer_ago_and_farther_away_the_more_alike_a_face_must_be(
    place, gone: int, cut: bool, number: int
) -> None:
    """Someone comes back half changed."""
    back = 10 + gone
    path = away(lambda at: (80, 90, 40) if at < 10 else place, 10, back)
    world = World([Changing(1, path, part=lambda at: 0.2 * (at >= back))])
    before, after = (describe(world.frame(at).image, world.face(0)) for at in (0, back))
    assert SIMILAR_HERE + 0.06 < similarity(before, after) < SIMILAR_ANYWHERE - 0.04
    seen = world.run(back + 5, backdrop=lambda at: 7 + (cut and at >= back))
    assert seen[back] == {0: number}


@pytest.mark.parametrize(
    ("place", "config"),
    [((100, 90, 20), {}), ((100, 90, 50), {"min_size": 60}), ((-40, 90, 50), {})],
)
def test_small_faces_and_those_outside_are_none(place, config) -> None:
    world = World([Actor(1, lambda at: place)])
    assert world.run(5, world.tracker(**config)) == [{}] * 5


def test_landmarks_outside_the_picture_are_no_face() -> None:
    world = World([Actor(1, still())])
    world.frame(0)
    face = world.face(0)
    for shift in (-200, 300):
        outside = replace(face, box=face.box + np.float32(shift))
        tracker = Tracker(world.detect, lambda image, roi, face=outside: face, FaceConfig())
        assert tracker.update(world.frame(0)) == []


def test_landmarks_that_jump_far_away_are_not_followed() -> None:
    """The detector, called in the same frame, finds the face where it was."""
    world = World([Actor(1, still(80)), Actor(2, still(250))])

    def landmarks(image, roi):
        jumps = world.index == 10 and 10 not in world.detector_runs
        return world.face(1) if jumps else world.landmarks(image, roi)

    tracker = Tracker(world.detect, landmarks, FaceConfig(max_faces=1))
    for at in range(12):
        (tracked,) = tracker.update(world.frame(at))
        assert (world.who(tracked.face), tracked.track) == (0, 1)
    assert world.detector_runs == [0, 10]


# --- Cuts ---------------------------------------------------------------------------------------


def test_after_a_cut_each_gets_the_own_number_back() -> None:
    """A, B in the same place, A again: between shots in different rooms."""
    shot = lambda at: at // 15 % 2  # noqa: E731
    world = World(
        [
            Actor(1, lambda at: (100, 90, 50) if shot(at) == 0 else None),
            Actor(2, lambda at: (100, 90, 50) if shot(at) == 1 else None),
        ]
    )
    seen = world.run(75, backdrop=lambda at: 7 + shot(at))
    assert seen == [{shot(at): 1 + shot(at)} for at in range(75)]


def test_two_who_change_places_at_a_cut_keep_their_numbers() -> None:
    left, right = (90, 90, 50), (230, 90, 50)
    world = World(
        [
            Actor(1, lambda at: left if at < 20 else right),
            Actor(2, lambda at: right if at < 20 else left),
        ]
    )
    seen = world.run(40, backdrop=lambda at: 7 + (at >= 20))
    assert seen == [{0: seen[0][0], 1: seen[0][1]}] * 40


# --- Two faces ----------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(
    speed=st.floats(2, 8),
    apart=st.floats(-60, 60),
    sizes=st.tuples(st.floats(36, 60), st.floats(36, 60)),
    looks=st.lists(st.integers(1, 40), min_size=2, max_size=2, unique=True),
)
@example(speed=2, apart=0, sizes=(50, 50), looks=[1, 2])
@example(speed=8, apart=0, sizes=(50, 50), looks=[1, 2])
@example(speed=2, apart=-19, sizes=(36, 47), looks=[1, 4])
@example(speed=4.14, apart=-34.3, sizes=(40.2, 37.7), looks=[12, 25])
@example(speed=5.61, apart=-50.1, sizes=(50.1, 37.1), looks=[2, 26])
def test_two_who_cross_are_neither_swapped_nor_merged(speed, apart, sizes, looks) -> None:
    frames = int(240 / speed)
    world = World(
        [
            Actor(looks[0], lambda at: (40 + speed * at, 100, sizes[0])),
            Actor(looks[1], lambda at: (280 - speed * at, 100 + apart, sizes[1])),
        ]
    )
    seen = world.run(frames)
    first = seen[0]
    assert len(set(first.values())) == 2
    assert all(first[who] == number for frame in seen for who, number in frame.items())
    # The one in front is never lost, the other one no longer than covered.
    assert all(1 in frame for frame in seen)
    assert len(seen[-1]) == 2


@settings(max_examples=12, deadline=None)
@given(st.floats(26, 60), st.floats(0, 6), st.integers(1, 9))
def test_two_who_are_close_stay_two(gap, sway, seed) -> None:
    world = World(
        [
            Actor(seed, lambda at: (150 - gap / 2 + sway * np.sin(at / 3), 100, 50)),
            Actor(seed + 10, lambda at: (150 + gap / 2, 100, 50)),
        ]
    )
    numbers = numbers_of(world.run(60))
    assert all(len(mine) == 1 for mine in numbers.values())
    assert 1 in numbers


def test_what_a_half_covered_face_looks_like_is_not_learned() -> None:
    world = World([Changing(1, still(139), part=lambda at: at / 100), Actor(9, still(175))])
    tracker = world.tracker()
    world.run(1, tracker)
    before = [track["look"] for track in tracker.state()["tracks"]]
    for at in range(1, 60):
        assert len(tracker.update(world.frame(at))) == 2
    assert [track["look"] for track in tracker.state()["tracks"]] == before


def test_landmarks_that_swap_two_faces_do_not_swap_their_numbers() -> None:
    world = World([Actor(1, still(139)), Actor(2, still(175))])
    swapped = {"now": False}

    def landmarks(image, roi):
        face = world.landmarks(image, roi)
        if face is None or not swapped["now"]:
            return face
        return world.face(1 - world.who(face))

    tracker = Tracker(world.detect, landmarks, FaceConfig())
    expected = {world.who(each.face): each.track for each in tracker.update(world.frame(0))}
    for at in range(1, 30):
        swapped["now"] = at == 10
        tracked = tracker.update(world.frame(at))
        assert {world.who(each.face): each.track for each in tracked} == expected


def test_two_tracks_on_one_face_become_one_and_the_other_is_searched() -> None:
    """The landmarks of the one who is covered jump to the one in front."""
    world = World(
        [
            Actor(1, still(100)),
            Actor(2, lambda at: (200 - 10 * min(at, 10) + 10 * max(0, at - 20), 90, 50)),
        ]
    )
    seen = world.run(40)
    assert numbers_of(seen) == {0: {seen[0][0]}, 1: {seen[0][1]}}
    assert seen[15].keys() == {1}
    assert len(seen[-1]) == 2


# --- Many faces ---------------------------------------------------------------------------------


def test_at_most_so_many_faces_the_largest_first() -> None:
    sizes = [30, 60, 40, 50]
    world = World([Actor(n, still(40 + 80 * n, 100, size)) for n, size in enumerate(sizes)])
    seen = world.run(40, world.tracker(max_faces=2))
    assert all(frame.keys() == {1, 3} for frame in seen)


def walking_in(size):
    """Comes in from the right, too slowly for a cut."""
    return lambda at: (max(250, 350 - 4 * at), 100, size)


def test_a_much_larger_face_takes_the_place_of_the_smallest() -> None:
    world = World(
        [
            Actor(1, still(50, 100, 30)),
            Actor(2, still(130, 100, 36)),
            Actor(3, walking_in(60)),
        ]
    )
    seen = world.run(60, world.tracker(max_faces=2))
    assert seen[9] == {0: 2, 1: 1}
    assert seen[-1] == {1: 1, 2: 3}


def test_faces_of_one_size_do_not_take_turns() -> None:
    world = World(
        [
            Actor(1, still(50, 100, 40)),
            Actor(2, still(140, 100, 44)),
            Actor(3, walking_in(48)),
        ]
    )
    seen = world.run(80, world.tracker(max_faces=2))
    assert all(frame.keys() == {0, 1} for frame in seen)


def test_a_followed_face_is_preferred_to_a_slightly_larger_one() -> None:
    world = World(
        [
            Actor(1, still(50, 100, 26)),
            Actor(2, away(still(140, 100, 29), 0, 15)),
            Actor(3, away(still(250, 100, 32), 0, 15)),
        ]
    )
    seen = world.run(20, world.tracker(max_faces=2))
    assert seen[-1].keys() == {0, 2}


def test_in_a_crowd_memory_does_not_grow_and_nobody_important_is_forgotten() -> None:
    """A hundred walk by, five frames each, while one, who was there for long, is away."""
    guest = Actor(1, away(still(60, 100, 50), 30, 730))
    others = [
        Actor(100 + n, lambda at, n=n: (230, 100, 50) if 7 * n <= at - 30 < 7 * n + 5 else None)
        for n in range(100)
    ]
    world = World([guest, *others])
    tracker = world.tracker()
    seen = world.run(740, tracker)
    assert len({number for frame in seen for number in frame.values()}) > 1.3 * REMEMBERED
    assert len(tracker.state()["tracks"]) <= REMEMBERED
    assert seen[-1] == {0: 1}


# --- State --------------------------------------------------------------------------------------


def everything(tracked):
    return [(each.track, each.face.box.tolist(), each.face.confidence) for each in tracked]


def told_with(stops):
    """For each frame what a tracker says, and its state; at ``stops`` it is taken apart before.

    People come, go, cross and cut.
    """
    world = World(
        [
            Actor(1, lambda at: (40 + 3 * at, 90, 50)),
            Actor(2, away(lambda at: (280 - 3 * at, 95, 46), 50, 70)),
            Actor(3, away(still(160, 100, 40), 0, 30)),
        ]
    )
    tracker = world.tracker()
    for at in range(90):
        frame = world.frame(at, 5 + (at > 60))
        if at in stops:
            state = json.loads(json.dumps(tracker.state(), allow_nan=False))
            tracker = world.tracker()
            tracker.restore(state)
        yield everything(tracker.update(frame)), json.dumps(tracker.state(), sort_keys=True)


@cache
def told_straight():
    return list(told_with(()))


@settings(max_examples=10, deadline=None)
@given(stops=st.sets(st.integers(0, 89), max_size=9))
@example(stops={61})
def test_a_tracker_goes_on_where_it_stopped(stops) -> None:
    for told, expected in zip(told_with(stops), told_straight(), strict=True):
        assert told == expected


# --- The sample clips ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nets():
    return build_detector("blazeface-full"), Landmarker()


def follow(path, nets, part=np.s_[:, :]):
    """For each frame {number: box}."""
    tracker = Tracker(*nets, config=FaceConfig())
    seen = []
    with FrameReader(path) as reader:
        for frame in reader:
            frame = replace(frame, image=np.ascontiguousarray(frame.image[part]))
            seen.append({each.track: each.face.box for each in tracker.update(frame)})
    return seen


def present(seen, number):
    return [at for at, faces in enumerate(seen) if number in faces]


def test_two_people_keep_their_sides(sample, nets) -> None:
    seen = follow(sample("two_people.mp4"), nets)
    assert len(seen) == 100
    left, right = sorted(seen[0], key=lambda number: seen[0][number][0])
    assert all(faces.keys() == {left, right} for faces in seen)
    assert max(faces[left][2] for faces in seen) < 320 < min(faces[right][0] for faces in seen)


@pytest.mark.parametrize("between", ["black", "no_face"])
def test_one_person_is_the_same_after_a_second_and_a_half(
    sample, nets, ffmpeg, tmp_path: Path, between: str
) -> None:
    clip = tmp_path / "clip.mkv"
    if between == "black":
        effect = "drawbox=w=iw:h=ih:c=black:t=fill:enable='between(n,10,46)'"
        ffmpeg("-i", sample("one_person.mp4"), "-an", "-vf", effect, "-frames:v", 57, clip)
    else:
        effect = "[1:v]scale=400:400[n];[0:v][n]overlay=enable='between(n,10,46)'"
        ffmpeg(
            *("-i", sample("one_person.mp4"), "-i", sample("no_face.mp4")),
            *("-an", "-filter_complex", effect, "-frames:v", 57, clip),
        )
    seen = follow(clip, nets)
    assert present(seen, 1) == [*range(10), *range(47, 57)]
    assert {number for faces in seen for number in faces} == {1}


def test_one_of_two_who_is_covered_for_a_second_keeps_the_number(
    sample, nets, ffmpeg, tmp_path: Path
) -> None:
    clip = tmp_path / "covered.mkv"
    effect = "drawbox=x=320:w=320:h=ih:c=gray:t=fill:enable='between(n,10,34)'"
    ffmpeg("-i", sample("two_people.mp4"), "-an", "-vf", effect, "-frames:v", 45, clip)
    seen = follow(clip, nets)
    left, right = sorted(seen[0], key=lambda number: seen[0][number][0])
    assert present(seen, left) == list(range(45))
    assert present(seen, right) == [*range(10), *range(35, 45)]
    assert {number for faces in seen for number in faces} == {left, right}


def test_cutting_between_two_people_gives_each_a_number(
    sample, nets, ffmpeg, tmp_path: Path
) -> None:
    clip = tmp_path / "cut.mkv"
    effect = (
        "[0:v]split[a][b];[a]crop=320:320:0:0[l];[b]crop=320:320:320:0[r];"
        "[l][r]overlay=enable='between(n,10,24)'"
    )
    ffmpeg(
        *("-i", sample("two_people.mp4"), "-an"),
        *("-filter_complex", effect, "-frames:v", 35, clip),
    )
    seen = follow(clip, nets)
    assert present(seen, 1) == [*range(10), *range(25, 35)]
    assert present(seen, 2) == list(range(10, 25))


def test_two_people_who_swap_sides_take_their_numbers_along(
    sample, nets, ffmpeg, tmp_path: Path
) -> None:
    clip = tmp_path / "swapped.mkv"
    effect = (
        "[0:v]split=3[c][a][b];[a]crop=320:320:0:0[l];[b]crop=320:320:320:0[r];"
        "[r][l]hstack[s];[c][s]overlay=enable='between(n,10,24)'"
    )
    ffmpeg(
        *("-i", sample("two_people.mp4"), "-an"),
        *("-filter_complex", effect, "-frames:v", 35, clip),
    )
    seen = follow(clip, nets)
    left, right = sorted(seen[0], key=lambda number: seen[0][number][0])
    for at, faces in enumerate(seen):
        assert faces.keys() == {left, right}
        assert (faces[left][0] < faces[right][0]) == (not 10 <= at < 25)


def test_faces_lie_where_the_detector_finds_them(sample, nets) -> None:
    """Followed for a long time, the boxes have not drifted."""
    detect, _ = nets
    tracker = Tracker(lambda image: detect(image) if not started else [], nets[1], FaceConfig())
    started = []
    with FrameReader(sample("vfr_rotated.mov")) as reader:
        for frame in reader:
            (tracked,) = tracker.update(frame)
            started.append(frame.index)
    (found,) = detect(frame.image)
    assert iou(found.box[None], tracked.face.box[None])[0, 0] > 0.5


def test_a_region_is_rebuilt_from_a_state(sample, nets) -> None:
    """Real numbers survive JSON: a restored tracker gives the very same boxes."""
    straight, broken = (Tracker(*nets, config=FaceConfig(detect_every=10)) for _ in range(2))
    with FrameReader(sample("two_people.mp4")) as reader:
        for frame in reader:
            if frame.index == 24:
                break
            expected = everything(straight.update(frame))
            if frame.index in (3, 12):
                state = json.loads(json.dumps(broken.state()))
                broken = Tracker(*nets, config=FaceConfig(detect_every=10))
                broken.restore(state)
            assert everything(broken.update(frame)) == expected
