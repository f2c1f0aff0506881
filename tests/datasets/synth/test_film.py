"""One artificial video: its pictures, its sound, its labels, and what lands in the file."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from avaffect.config import SAMPLE_RATE
from avaffect.datasets.synth.face import ACTIONS, Person
from avaffect.datasets.synth.film import Film, Role, write_film
from avaffect.datasets.synth.script import control_times
from avaffect.datasets.synth.voice import Speech, SynthVoice
from avaffect.errors import OutputError
from avaffect.media.frames import FrameReader
from avaffect.media.probe import probe

STEPS = len(control_times(1.0))


def role(subject="one", **actions) -> Role:
    values = [actions.get(name, 0.0) for name in ACTIONS]
    return Role(subject, Person(), np.tile(values, (STEPS, 1)).astype(float))


FILM = Film(
    name="one",
    fps=Fraction(30000, 1001),
    frames=9,
    size=(176, 160),
    scale=0.85,
    roles=(role(smile=0.8),),
    voice=SynthVoice(),
    speech=Speech(np.full(STEPS, 0.5), np.full(STEPS, 0.5), np.ones(STEPS)),
    faceless=None,
    seed=5,
)


def test_pictures() -> None:
    pictures = list(FILM.pictures())
    assert len(pictures) == 9
    assert {(p.shape, p.dtype) for p in pictures} == {((160, 176, 3), np.dtype(np.uint8))}
    assert any((a != b).any() for a, b in itertools.pairwise(pictures))


def test_same_seed_same_pixels_and_samples() -> None:
    np.testing.assert_array_equal(list(FILM.pictures()), list(FILM.pictures()))
    np.testing.assert_array_equal(FILM.sound(), FILM.sound())
    other = replace(FILM, seed=6)
    assert (np.array(list(other.pictures())) != np.array(list(FILM.pictures()))).any()
    assert (other.sound() != FILM.sound()).any()


def test_sound_is_as_long_as_the_pictures() -> None:
    assert len(FILM.sound()) == round(9 * 1001 / 30000 * SAMPLE_RATE)


def test_labels_come_from_face_and_voice() -> None:
    labels = FILM.labels(FILM.roles[0])
    np.testing.assert_allclose(
        labels.va, np.tile([0.6 * 0.8 + 0.4 * 0.5, 0.7 * 0.5 - 0.25], (9, 1))
    )
    assert set(labels.expr) == {4}


def test_without_sound_the_face_alone_counts() -> None:
    film = replace(FILM, voice=None)
    assert film.sound() is None
    np.testing.assert_allclose(film.labels(FILM.roles[0]).va, np.tile([0.48, -0.25], (9, 1)))


def test_nobody_to_be_seen() -> None:
    film = replace(FILM, faceless=(0.1, 0.2))
    hidden = (FILM.times >= 0.1) & (FILM.times < 0.2)
    assert hidden.any()
    np.testing.assert_array_equal(film.has_face, ~hidden)
    va = film.labels(FILM.roles[0]).va
    np.testing.assert_allclose(va[hidden, 0], 0.2)
    np.testing.assert_allclose(va[~hidden, 0], 0.68)
    dark = [picture[60:110, 60:110].std() for picture in film.pictures()]
    assert max(np.array(dark)[hidden]) < 0.6 * min(np.array(dark)[~hidden])


def test_two_persons_stand_side_by_side() -> None:
    people = (role("one_left", open_mouth=1.0), role("one_right"))
    film = replace(FILM, size=(320, 160), roles=people)
    picture = next(film.pictures()).astype(int)
    assert picture.shape == (160, 320, 3)
    calm = replace(film, roles=(role("one_left"), role("one_right")))
    moved = (picture != next(calm.pictures())).any(axis=(0, 2))
    assert moved[:160].any()
    assert not moved[160:].any()
    left, right = (film.labels(person) for person in people)
    np.testing.assert_allclose(left.va - right.va, np.tile([0.0, 0.45], (9, 1)), atol=1e-12)


def test_the_file_holds_the_film(tmp_path: Path) -> None:
    seen: list[int] = []
    path = tmp_path / "one.mp4"
    write_film(path, FILM, seen.append)
    assert seen == list(range(1, 10))
    info = probe(path).video
    assert (info.width, info.height) == (176, 160)
    with FrameReader(path) as reader:
        frames = list(reader)
    np.testing.assert_allclose([f.time for f in frames], FILM.times, atol=1e-3)
    drawn = list(FILM.pictures())
    for frame, picture in zip(frames, drawn, strict=True):
        assert np.abs(frame.image.astype(int) - picture).mean() < 8


@pytest.mark.parametrize(
    "fps", [Fraction(30), Fraction(24000, 1001), Fraction(15, 2), Fraction(21905, 1000)]
)
def test_frame_rates_arrive(tmp_path: Path, fps) -> None:
    film = replace(FILM, fps=fps, voice=None)
    write_film(tmp_path / "one.mp4", film, lambda number: None)
    with FrameReader(tmp_path / "one.mp4") as reader:
        times = [frame.time for frame in reader]
    np.testing.assert_allclose(times, film.times, atol=1e-3)


def test_no_file_is_left_behind_when_writing_fails(tmp_path: Path) -> None:
    def stop(number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_film(tmp_path / "one.mp4", FILM, stop)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_film(tmp_path / "file" / "one.mp4", FILM, lambda number: None)
