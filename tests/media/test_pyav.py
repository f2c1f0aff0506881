"""Whatever PyAV cannot read is passed over."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from avaffect.config import MediaConfig
from avaffect.media import pyav
from avaffect.media.frames import FrameReader
from avaffect.media.sound import extract_sound


def test_side_data_without_a_name_is_no_error() -> None:
    unknown = Type(9_999)
    assert (unknown.value, unknown.name) == (9_999, "TYPE_9999")
    assert unknown != Type.DISPLAYMATRIX
    assert Type(Type.DISPLAYMATRIX.value) is Type.DISPLAYMATRIX


@pytest.mark.parametrize("by_kind", [False, True], ids=["av-18", "av-19"])
def test_a_display_matrix_beside_nameless_side_data_is_found(by_kind: bool) -> None:
    """PyAV iterates over the data up to 18, and over its kinds from 19 on."""

    class Data(bytes):
        type = Type.DISPLAYMATRIX

    matrix = np.arange(9, dtype=np.int32)
    data, nameless = Data(matrix.tobytes()), SimpleNamespace(type=Type(9_999))
    held = {nameless.type: nameless, data.type: data} if by_kind else [nameless, data]
    frame = SimpleNamespace(side_data=held, format=SimpleNamespace(name="rgb24"))
    np.testing.assert_array_equal(pyav.display_matrix(frame), matrix)
    assert not pyav.has_exif(frame)


def test_rates_and_ratios_of_every_version() -> None:
    assert pyav.positive(Fraction(4, 3)) == Fraction(4, 3)
    av19 = SimpleNamespace(numerator=0, denominator=1)
    assert [pyav.positive(ratio) for ratio in (None, Fraction(0), Fraction(-1), av19)] == [
        None
    ] * 4
    assert pyav.positive(SimpleNamespace(numerator=1, denominator=0)) is None


LATIN1 = (
    b";FFMETADATA1\ntitle=M\xfcller\n[STREAM]\nlanguage=deu\ntitle=M\xfcller\n"
    b"[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=1\ntitle=M\xfcller\n"
)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.nut", "a.mov"])
def test_tags_that_are_not_utf_8_are_no_error(make, name: str) -> None:
    """Those of the container, of a stream and of a chapter, through the pipe of the sound too."""
    (make.folder / "tags.txt").write_bytes(LATIN1)
    sine = ["-f", "lavfi", "-i", "sine=d=1", "-f", "ffmetadata", "-i", "tags.txt"]
    maps = ["-map", "0:v", "-map", "1:a", "-map_metadata", "2", "-map_chapters", "2"]
    tags = ["-map_metadata:s:v", "2:s:0", "-map_metadata:s:a", "2:s:0", "-c:v", "mpeg4"]
    path = make.test_card(name, *sine, *maps, *tags)
    assert b"M\xfcller" in path.read_bytes()
    with FrameReader(path) as reader:
        assert sum(1 for _ in reader) == 25
    sound = extract_sound(path, MediaConfig(), make.folder / "a.wav", first_time_s=0)
    assert sound.duration_s == pytest.approx(1, abs=0.1)


def test_streams_that_are_left_out_give_no_frames(make) -> None:
    path = make.test_card("a.mkv", "-f", "lavfi", "-i", "sine=d=1", "-c:v", "ffv1")
    with pyav.open_media(str(path)) as container:
        pyav.leave_out(container.streams.audio[0])
        assert len(list(container.decode(video=0))) == 25


def test_a_graph_of_one_thread_can_be_built() -> None:
    graph = pyav.graph_of_one_thread()
    assert isinstance(graph, av.filter.Graph)
