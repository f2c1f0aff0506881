"""Files, folders and globs become a list of videos."""

from pathlib import Path

import pytest

from avaffect.errors import InputNotFoundError
from avaffect.media.inputs import expand_inputs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("b.MP4", "a.mkv", "notes.txt", "._a.mkv", "in/c.webm", "in/.trash/d.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(paths):
    return [str(path) for path in paths]


def test_a_folder_stands_for_its_videos(folder):
    assert names(expand_inputs(["."])) == ["a.mkv", "b.MP4"]
    assert names(expand_inputs(["."], recursive=True)) == ["a.mkv", "b.MP4", "in/c.webm"]
    assert expand_inputs([str(folder)]) == [folder / "a.mkv", folder / "b.MP4"]


def test_a_file_stands_for_itself_whatever_it_is(folder):
    assert expand_inputs(["notes.txt"]) == [Path("notes.txt")]


def test_globs(folder):
    assert names(expand_inputs(["*.mkv", "*/*.webm"])) == ["a.mkv", "in/c.webm"]
    assert names(expand_inputs(["**/*.webm"])) == ["in/c.webm"]
    assert names(expand_inputs(["i*"])) == ["in/c.webm"]


def test_an_existing_name_is_never_a_glob(folder):
    (folder / "[a].mkv").touch()
    (folder / "what?").mkdir()
    (folder / "what?" / "x.mp4").touch()
    assert names(expand_inputs(["[a].mkv"])) == ["[a].mkv"]
    assert names(expand_inputs(["what?"])) == ["what?/x.mp4"]


def test_arguments_keep_their_order_and_nothing_comes_twice(folder):
    given = ["in", "b.MP4", ".", "*.MP4", str(folder / "a.mkv"), "./b.MP4"]
    assert names(expand_inputs(given)) == ["in/c.webm", "b.MP4", "a.mkv"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no input"),
        ([""], "does not exist"),
        (["none.mp4"], "does not exist"),
        (["*.avi"], "nothing matches"),
        (["empty"], "holds no video"),
        (["emp*"], "only folders without a video"),
        (["a.mkv", "none.mp4"], "does not exist"),
    ],
)
def test_what_is_not_there(folder, arguments, says):
    with pytest.raises(InputNotFoundError, match=says):
        expand_inputs(arguments)


def test_a_folder_of_folders_hints_at_recursive(folder):
    (folder / "outer" / "inner").mkdir(parents=True)
    with pytest.raises(InputNotFoundError, match="--recursive"):
        expand_inputs(["outer"])


def test_a_broken_link_is_left_to_the_one_who_opens_it(folder):
    (folder / "link.mp4").symlink_to("gone.mp4")
    assert names(expand_inputs(["link.mp4"])) == ["link.mp4"]
