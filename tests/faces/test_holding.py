import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from avaffect.faces.face import Face
from avaffect.faces.holding import MOST_HELD, RULES, Holding, _grey
from avaffect.faces.landmarks import FIVE_POINTS, Roi, roi_from_mesh
from avaffect.faces.track import TrackedFace

FPS = 30
RULE = RULES["changed"]
assert RULE is not None


class Net:
    """Stands in for the landmark net: a face in the middle of the picture, in all frames."""

    def __init__(self) -> None:
        self.runs = 0
        rng = np.random.default_rng(0)
        self.mesh = rng.uniform(-30, 30, (478, 3)).astype(np.float32) + np.float32(80)
        self.mesh[[33, 133], :2], self.mesh[[362, 263], :2] = (65, 70), (95, 70)

    def __call__(self, image: NDArray[np.uint8], roi: Roi) -> Face | None:
        self.runs += 1
        mesh = self.mesh.copy()
        points = mesh[list(FIVE_POINTS), :2].copy()
        box = np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])
        return Face(box=box, points=points, mesh=mesh, confidence=0.9)


def picture(seed: int = 1) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return rng.integers(60, 200, (16, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)


class Film:
    """Follows the face of :class:`Net`, as the tracker would."""

    def __init__(self, looks: str = "changed", fps: float = FPS, track: int = 1) -> None:
        self.net = Net()
        self.holding = Holding(self.net, looks)
        self.fps, self.track, self.frame = fps, track, 0
        self.roi = roi_from_mesh(self.net.mesh)

    def show(self, image: NDArray[np.uint8]) -> bool:
        """Whether the face is held in the next frame."""
        self.holding.begin(self.frame / self.fps)
        self.frame += 1
        face = self.holding(image, self.roi)
        assert face is not None
        self.roi = roi_from_mesh(face.mesh)
        return bool(self.holding.held([TrackedFace(self.track, face)]))


def test_a_still_face_is_looked_at_ten_times_a_second() -> None:
    film = Film()
    held = [film.show(picture()) for _ in range(3 * FPS)]
    assert held[:6] == [False, True, True] * 2
    assert film.net.runs == held.count(False) == 3 * FPS // 3


def test_every_looks_at_every_frame() -> None:
    film = Film("every")
    assert not any(film.show(picture()) for _ in range(20))
    assert film.net.runs == 20


def test_slow_films_are_looked_at_in_every_frame() -> None:
    film = Film(fps=10)
    assert not any(film.show(picture()) for _ in range(10))


def test_no_more_frames_wait_than_memory_holds() -> None:
    film = Film(fps=1000)
    held = [film.show(picture()) for _ in range(3 * (MOST_HELD + 1))]
    assert held == ([False] + [True] * MOST_HELD) * 3


@pytest.mark.parametrize("place", [(60, 75), (95, 80), (100, 100)])
def test_a_change_of_a_part_is_looked_at_at_once(place) -> None:
    """A part of the size of an eye."""
    y, x = place
    changed = picture()
    changed[y : y + 10, x : x + 10] -= 50
    film = Film()
    assert [film.show(image) for image in (picture(), changed)] == [False, False]
    # What is there now is what the next frame is held against.
    assert film.show(changed)


def test_a_slow_change_counts_from_the_last_look() -> None:
    film = Film(fps=1000)
    held = []
    for step in range(MOST_HELD + 1):
        image = picture().astype(int)
        image[70:100, 60:100] += 3 * step
        held.append(film.show(image.astype(np.uint8)))
    assert held[:2] == [False, True]
    assert not all(held[1:])


def test_noise_is_no_change() -> None:
    rng = np.random.default_rng(5)
    film = Film()
    image = picture().astype(int)
    noisy = [(image + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8)] * 3
    assert [film.show(each) for each in noisy] == [False, True, True]


def test_a_face_that_became_someone_elses_is_not_held() -> None:
    film = Film()
    film.show(picture())
    film.track = 2
    assert not film.show(picture())
    assert film.show(picture())


def test_a_face_that_was_not_followed_for_a_frame_is_looked_at() -> None:
    film = Film()
    film.show(picture())
    film.holding.begin(1 / FPS)
    film.frame = 2
    assert not film.show(picture())


def test_goes_on_from_its_state() -> None:
    images = [picture(1 + at // 7) for at in range(40)]
    whole = Film()
    expected = [whole.show(image) for image in images]
    for stop in (at + 1 for at, held in enumerate(expected) if not held):
        film = Film()
        found = [film.show(image) for image in images[:stop]]
        state = json.loads(json.dumps(film.holding.state()))
        going_on = Film()
        going_on.frame = stop
        going_on.holding.restore(state)
        found += [going_on.show(image) for image in images[stop:]]
        assert found == expected, stop


@pytest.mark.parametrize(
    "beside", [{"angle": 0.3}, {"x": 105.0}, {"y": 60.0}, {"size": 150.0}, {"angle": 6.27}]
)
def test_a_face_that_was_not_where_it_was_looked_for_is_looked_at_again(beside) -> None:
    film = Film()
    place = film.roi
    film.roi = replace(place, **beside)
    again = abs(beside.get("angle", 1)) < 6  # a whole turn is none
    assert [film.show(picture()) for _ in range(3)] == [False, not again, True]
    assert film.roi == place


def test_few_holds_more_than_changed() -> None:
    few = RULES["few"]
    assert few is not None
    assert few.every_s > RULE.every_s
    assert few.change > RULE.change
    assert replace(few, change=RULE.change) != RULE


@pytest.mark.parametrize("times", [1, 2, 4, 9])
def test_a_large_face_is_seen_as_a_small_one(times: int) -> None:
    small = picture().repeat(2, 0).repeat(2, 1)
    large = small.repeat(times, 0).repeat(times, 1)
    place = Roi(160, 150, 200, 0.1)
    first = _grey(small, place)
    second = _grey(large, Roi(160 * times, 150 * times, 200 * times, 0.1))
    assert np.abs(first.astype(int) - second).mean() < 6
