"""The sound of a video beside the pass."""

import threading
from pathlib import Path

import numpy as np
import pytest

from avaffect.config import AnalysisConfig
from avaffect.errors import OutputError
from avaffect.media.source import open_source
from avaffect.preprocessing import listening as module
from avaffect.preprocessing.listening import Listening
from avaffect.preprocessing.sound import SoundReader, make_wav, sound_arrays
from avaffect.progress import Event, Notice, Progress

SAMPLE = Path(__file__).parents[2] / "sample_media/two_people.mp4"
CONFIG = AnalysisConfig()


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_arrays_are_those_of_the_sound_read_alone(tmp_path: Path) -> None:
    video, times = open_source(SAMPLE), np.arange(0, 3, 0.04)
    with Listening(video, tmp_path / "work/a.wav", CONFIG) as listening:
        heard = listening.heard()
    sound = make_wav(video, tmp_path / "b.wav", CONFIG.media)
    reader = SoundReader(tmp_path / "b.wav", sound, CONFIG, sound_arrays(CONFIG))
    assert heard.sound == sound
    assert heard.reader.specs == reader.specs
    assert (tmp_path / "work/a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    moved = heard.moved((tmp_path / "work/a.wav").rename(tmp_path / "c.wav"))
    for mine, alone in zip(moved.chunks(times), reader.chunks(times), strict=True):
        for name, values in alone.items():
            np.testing.assert_array_equal(mine[name], values)


def test_what_it_says_is_kept_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress of what is done beside the pass would get into the pass's own."""
    said, waits = threading.Event(), threading.Event()
    events: list[Event] = []

    def make(video, wav, media, on_event):
        on_event(Progress("sound", 1))
        on_event(Notice("first"))
        said.set()
        assert waits.wait(30)
        on_event(Progress("sound", 2))
        on_event(Notice("second"))

    def told(event: Event) -> None:
        assert threading.current_thread() is threading.main_thread()
        events.append(event)
        waits.set()

    monkeypatch.setattr(module, "make_wav", make)
    with Listening(open_source(SAMPLE), tmp_path / "a.wav", CONFIG) as listening:
        assert said.wait(30)
        assert events == []
        assert listening.heard(told).sound is None
    assert events == [Notice("first"), Progress("sound", 2), Notice("second")]


def test_without_sound_features_nothing_is_read(tmp_path: Path) -> None:
    config = AnalysisConfig(audio=None, voice=None)
    with Listening(open_source(SAMPLE), tmp_path / "a.wav", config) as listening:
        heard = listening.heard()
    assert heard.sound is None
    assert heard.reader.specs == {}
    assert list(tmp_path.iterdir()) == []


def test_it_ends_where_the_pass_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in mid-sound; nothing half-written stays."""
    begun, left = threading.Event(), threading.Event()
    make = module.make_wav

    def slow(video, wav, media, on_event):
        def hear(event: Event) -> None:
            begun.set()
            assert left.wait(30)
            on_event(event)

        return make(video, wav, media, hear)

    monkeypatch.setattr(module, "make_wav", slow)
    listening = Listening(open_source(SAMPLE), tmp_path / "a.wav", CONFIG)
    monkeypatch.setattr(listening, "_thread", _Joined(listening._thread, left))
    with pytest.raises(KeyboardInterrupt), listening:
        assert begun.wait(30)
        raise KeyboardInterrupt
    assert "avaffect-listening" not in names()
    assert list(tmp_path.iterdir()) == []


class _Joined:
    """A thread; says when somebody waits for its end."""

    def __init__(self, thread: threading.Thread, waited: threading.Event) -> None:
        self.start, self._thread, self._waited = thread.start, thread, waited

    def join(self) -> None:
        self._waited.set()
        self._thread.join()


def test_what_goes_wrong_is_raised_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    listening = Listening(open_source(SAMPLE), tmp_path / "file/a.wav", CONFIG)
    with listening, pytest.raises(OutputError, match="file"):
        listening.heard()
    assert "avaffect-listening" not in names()
