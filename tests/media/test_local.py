"""Names that are no local files are refused for their true reason."""

import re
from pathlib import Path

import pytest

from avaffect import predict, preprocess
from avaffect.errors import InputNotFoundError
from avaffect.media.inputs import expand_inputs
from avaffect.media.local import local_path
from avaffect.predicting.sources import find_sources

REFUSED = [
    ("http://host/x.mp4", "is an address.*download it first"),
    ("HTTPS://youtube.com/watch?v=x", "is an address.*download it first"),
    ("ftp://host/*.mp4", "download it first"),
    ("rtsp://camera/1", r"record it first, e.g. ffmpeg -i 'rtsp://camera/1' -c copy"),
    ("s3://bucket/x.mp4", "copy it to a local disk first"),
    ("file:///data/my%20x.mp4", "name the file itself: '/data/my x.mp4'"),
    ("-", "standard input"),
    ("pipe:0", "standard input"),
    ("frames/%05d.jpg", "ffmpeg -framerate 25 -i 'frames/%05d.jpg'"),
    ("%d.png", "numbered pictures"),
]


def by_path(name):
    """A ``Path`` has lost one of the slashes."""
    return local_path(Path(name))


@pytest.mark.parametrize(("name", "message"), REFUSED)
@pytest.mark.parametrize(
    "how",
    [
        local_path,
        predict,
        lambda name: preprocess(name, "out"),
        lambda name: expand_inputs([name]),
        lambda name: find_sources([name]),
        by_path,
    ],
)
def test_what_is_no_local_file(
    how, name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputNotFoundError) as error:
        how(name)
    if how is not by_path:
        assert re.search(message, str(error.value))
    assert not list(tmp_path.iterdir())


def test_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.mp4").touch()
    assert local_path("~/x.mp4") == local_path(Path("~/x.mp4")) == tmp_path / "x.mp4"
    assert expand_inputs(["~/x.mp4"]) == [tmp_path / "x.mp4"]
    assert expand_inputs(["~/*.mp4"]) == expand_inputs(["~"]) == [tmp_path / "x.mp4"]
    with pytest.raises(InputNotFoundError, match="does not exist"):
        predict("~/none.mp4")


def test_what_exists_is_taken_as_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("~", "-", "%05d.jpg", "a:b.mp4", "@x"):
        Path(name).touch()
        assert local_path(name) == Path(name)
    (tmp_path / "http:" / "host").mkdir(parents=True)
    assert local_path("http://host") == Path("http://host")
    for name in ("C:/x.mp4", "x:y.mp4", "100%.mp4", "none.mp4", ""):
        assert local_path(name) == Path(name)


def test_a_list_with_an_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").touch()
    with pytest.raises(InputNotFoundError, match=r"xargs -d '\\n' avaffect predict < 'list.txt'"):
        local_path("@list.txt")
