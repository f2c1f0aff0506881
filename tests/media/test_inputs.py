"""Files, folders and globs become a list of videos."""

from pathlib import Path

import pytest

from avaffect.challenge.editions import EDITIONS
from avaffect.errors import InputNotFoundError
from avaffect.media.inputs import expand_inputs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("b.MP4", "a.mkv", "notes.txt", "._a.mkv", "in/c.webm", "in/.trash/d.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(paths):
    return [str(path) for path in paths]


def test_a_folder_stands_for_its_videos(folder) -> None:
    assert names(expand_inputs(["."])) == ["a.mkv", "b.MP4"]
    assert names(expand_inputs(["."], recursive=True)) == ["a.mkv", "b.MP4", "in/c.webm"]
    assert expand_inputs([str(folder)]) == [folder / "a.mkv", folder / "b.MP4"]


def test_a_file_stands_for_itself_whatever_it_is(folder) -> None:
    assert expand_inputs(["notes.txt"]) == [Path("notes.txt")]


def test_globs(folder) -> None:
    assert names(expand_inputs(["*.mkv", "*/*.webm"])) == ["a.mkv", "in/c.webm"]
    assert names(expand_inputs(["**/*.webm"])) == ["in/c.webm"]
    assert names(expand_inputs(["i*"])) == ["in/c.webm"]


def test_an_existing_name_is_never_a_glob(folder) -> None:
    (folder / "[a].mkv").touch()
    (folder / "what?").mkdir()
    (folder / "what?" / "x.mp4").touch()
    assert names(expand_inputs(["[a].mkv"])) == ["[a].mkv"]
    assert names(expand_inputs(["what?"])) == ["what?/x.mp4"]


def test_arguments_keep_their_order_and_nothing_comes_twice(folder) -> None:
    given = ["in", "b.MP4", ".", "*.MP4", str(folder / "a.mkv"), "./b.MP4"]
    assert names(expand_inputs(given)) == ["in/c.webm", "b.MP4", "a.mkv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_what_is_not_there(folder, arguments, message: str) -> None:
    with pytest.raises(InputNotFoundError, match=message):
        expand_inputs(arguments)


def test_a_folder_of_folders_hints_at_recursive(folder) -> None:
    (folder / "outer" / "inner").mkdir(parents=True)
    with pytest.raises(InputNotFoundError, match="recursive=True"):
        expand_inputs(["outer"])


def test_a_folder_without_videos_stands_for_its_sound_files(folder) -> None:
    for name in ("in/deep/b.OGG", "in/deep/a.wav", "in/deep/._a.wav", "in/deep/t.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    deep = ["in/deep/a.wav", "in/deep/b.OGG"]
    assert names(expand_inputs(["in/deep"], sound=True)) == deep
    assert names(expand_inputs(["in/d*"], sound=True)) == deep
    assert names(expand_inputs(["in/deep/a.wav"])) == deep[:1]
    # Sound beside videos is theirs, and most commands want none.
    assert names(expand_inputs(["in"], recursive=True, sound=True)) == ["in/c.webm"]
    for wanted in (["in/deep"], ["in/d*"]):
        with pytest.raises(InputNotFoundError, match=r"a video|no video"):
            expand_inputs(wanted)
    with pytest.raises(InputNotFoundError, match=r"no video or sound file.*wav"):
        expand_inputs(["empty"], sound=True)
    with pytest.raises(InputNotFoundError, match="without a video or sound file"):
        expand_inputs(["emp*"], sound=True)


def test_the_sound_that_preprocess_wrote_is_not_taken_again(folder) -> None:
    for name in ("voices/a.wav", "voices/out/a/audio.wav", "voices/out/a/preprocess.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert names(expand_inputs(["voices"], recursive=True, sound=True)) == ["voices/a.wav"]


def test_a_broken_link_is_left_to_the_one_who_opens_it(folder) -> None:
    (folder / "link.mp4").symlink_to("gone.mp4")
    assert names(expand_inputs(["link.mp4"])) == ["link.mp4"]


def found_in(folder, **options):
    events = []
    found = expand_inputs([str(folder)], on_event=events.append, **options)
    return [path.name for path in found], [event.text for event in events]


def test_what_else_is_in_a_folder_is_counted(folder) -> None:
    assert found_in(folder) == (
        ["a.mkv", "b.MP4"],
        [f"1 other file in '{folder}' left out (.txt)"],
    )
    for name in ("x.TXT", "s.wav", "p.jpg", "q.jpg", "noending", "r.csv"):
        (folder / name).touch()
    (notice,) = found_in(folder, sound=True)[1]
    assert notice.startswith(f"7 other files in '{folder}' left out (.")
    assert notice.endswith(" ...)")
    assert ".jpg" in notice
    assert found_in(folder / "in") == (["c.webm"], [])


def test_everything_that_the_decoder_takes_is_found(folder) -> None:
    names = ["a.VOB", "b.mxf", "c.Asf", "d.f4v", "e.qt", "f.gif", "g.dv", "h.3g2", "i.m2v"]
    place = folder / "new"
    place.mkdir()
    for name in (*names, "j.w64", "k.au", "l.AC3", "m.wv", "n.mp2"):
        (place / name).touch()
    assert found_in(place)[0] == sorted(names)
    for name in names:
        (place / name).unlink()
    assert found_in(place, sound=True) == (
        ["j.w64", "k.au", "l.AC3", "m.wv", "n.mp2"],
        [],
    )


def test_own_outputs_are_left_out_in_silence(folder) -> None:
    for name in ("in/preprocess.json", "in/audio.wav", "in/cropped_aligned/c/00001.jpg",
                 "in/features/c/frames.parquet", "in/out/tables/c.parquet",
                 "in/out/records/c.json", "in/out/VA_Set/c.txt", "in/run/run.json",
                 "in/run/log.txt"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert found_in(folder / "in", sound=True) == (["c.webm"], [])
    (folder / "in/out/VA_Set").rename(folder / "in/out" / EDITIONS["abaw8"].folders["va"])
    assert found_in(folder / "in", sound=True, recursive=True) == (["c.webm"], [])
    (folder / "in/mine.wav").touch()
    assert "1 other file" in found_in(folder / "in", sound=True)[1][0]


def test_a_folder_of_frames_says_how_to_make_a_video_of_them(folder) -> None:
    (folder / "frames").mkdir()
    for i in range(3):
        (folder / f"frames/{i:05d}.PNG").touch()
    with pytest.raises(InputNotFoundError, match=r"holds 3 pictures.*-framerate 25.*\*\.PNG"):
        expand_inputs(["frames"], sound=True)
    assert len(expand_inputs(["frames/*.PNG"])) == 3


def test_a_folder_is_its_videos_else_its_sound_else_its_pictures(tmp_path: Path) -> None:
    def expand(*files: str) -> list[str]:
        folder = tmp_path / "-".join(files)
        folder.mkdir()
        for name in files:
            (folder / name).touch()
        return names(expand_inputs([str(folder)], sound=True, pictures=True))

    assert [name[-5:] for name in expand("a.mp4", "b.jpg", "c.gif")] == ["a.mp4", "c.gif"]
    assert [name[-5:] for name in expand("a.wav", "b.jpg")] == ["a.wav"]
    assert [name[-5:] for name in expand("c.gif", "b.jpg")] == ["b.jpg", "c.gif"]
    assert [name[-5:] for name in expand("d.gif")] == ["d.gif"]
