"""From predictions to a zip without faults, and back."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.challenge import submit as submit_module
from avaffect.challenge.editions import EDITIONS
from avaffect.challenge.submit import check_submission, submit
from avaffect.challenge.templates import submission_form, submission_header
from avaffect.errors import ForeignFileError, InputNotFoundError, OutputError, UsageError
from avaffect.progress import Notice

CASES = [
    (edition, task)
    for edition, settings in EDITIONS.items()
    for task in ("va", "expr", "au", "mtl")
    if ("mtl" in settings.formats if task == "mtl" else settings.formats != ("mtl",))
]
DUMMY = {"va": "0.5,-0.5", "expr": "0", "au": "1,0,1,1,1,0,0,1,0,0,0,1"}
FRAMES = {"a": 7, "b_left": 5, "14-30-1920x1080": 9}
Draw = Callable[[], str]


def values_of(task: str, edition: str, rng: np.random.Generator) -> str:
    units = len(EDITIONS[edition].action_units)
    parts = {
        "va": ",".join(f"{value:.5f}" for value in rng.uniform(-1, 1, 2)),
        "expr": str(rng.integers(len(EDITIONS[edition].expressions))),
        "au": ",".join(map(str, rng.integers(0, 2, units))),
    }
    return ",".join(parts.values()) if task == "mtl" else parts[task]


def write_predictions(
    root: Path, task: str, edition: str, *, listed: bool, frames: dict[str, int] = FRAMES
) -> Path:
    rng = np.random.default_rng(1)
    root.mkdir()
    predicted = {s: [values_of(task, edition, rng) for _ in range(n)] for s, n in frames.items()}
    if listed:
        name = "MTL_predictions.txt" if task == "mtl" else "predictions.txt"
        rows = [
            f"{s}/{i:05d}.jpg,{v}\n"
            for s, all_ in predicted.items()
            for i, v in enumerate(all_, 1)
        ]
        (root / name).write_text("image_location,x\n" + "".join(rows))
        return root
    folder = root / EDITIONS[edition].folders[task]
    folder.mkdir()
    for subject, rows in predicted.items():
        (folder / f"{subject}.txt").write_text("\n".join(["header", *rows]))
    return root


def write_template(
    path: Path, task: str, edition: str, frames: dict[str, int] = FRAMES, step: int = 1
) -> Path:
    form = submission_form(edition, task)
    if form == "files":
        path.write_text("".join(f"{subject}\n" for subject in frames), encoding="utf-8")
    else:
        tail = f",{DUMMY[task]}" if form == "single" and edition != "abaw5" else ","
        rows = [
            f"{s}/{i:05d}.jpg{tail}\n" for s, n in frames.items() for i in range(1, n + 1, step)
        ]
        path.write_text(submission_header(edition, task) + "\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(("edition", "task"), CASES)
def test_what_is_made_has_no_faults(tmp_path: Path, edition: str, task: str) -> None:
    frames = dict(reversed(FRAMES.items()))
    template = write_template(tmp_path / "t.txt", task, edition, frames)
    form = submission_form(edition, task)
    shapes = {"mtl": [True], "files": [False, True], "single": [True, False]}[form]
    made = []
    for listed in shapes:
        mine = write_predictions(tmp_path / f"p{listed}", task, edition, listed=listed)
        out = tmp_path / f"{listed}.zip"
        report = submit(mine, out, task, edition, template)
        assert not report.counts
        assert (report.tracks, report.rows, report.left_out) == (3, 21, 0)
        checked = check_submission(out, task, edition, template)
        assert not checked.counts
        assert (checked.rows, checked.file) == (21, report.file)
        assert not check_submission(out, task, edition).counts
        made.append(out.read_bytes())
    # Whatever the predictions' form, the zip is the same to the byte.
    assert len(set(made)) == 1
    with zipfile.ZipFile(out) as archive:
        names = archive.namelist()
        first = archive.read(names[0]).decode().splitlines()
    assert first[0] == submission_header(edition, task)
    top = f"{EDITIONS[edition].folders[task]}/" if edition == "abaw1" else ""
    wanted = [report.file] if report.file else [f"{top}{track}.txt" for track in frames]
    assert names == wanted


def submitted(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        return archive.read(name).decode().splitlines()


def test_values_stay_as_they_are_written(tmp_path: Path) -> None:
    mine = tmp_path / "any name.txt"
    mine.write_bytes(
        b"\xef\xbb\xbfimage,v,a\r\nb/00001.jpg, 1e-1,0.123456789\r\na/00001.jpg,-1,1\r\n"
    )
    template = write_template(tmp_path / "t.txt", "va", "abaw6", {"a": 1, "b": 1})
    assert not submit(mine, tmp_path / "o.zip", "va", "abaw6", template).counts
    assert submitted(tmp_path / "o.zip") == [
        "image_location,valence,arousal",
        "a/00001.jpg,-1,1",
        "b/00001.jpg,1e-1,0.123456789",
    ]


def test_only_listed_rows_are_taken(tmp_path: Path) -> None:
    mine = write_predictions(tmp_path / "p", "mtl", "abaw7", listed=True)
    template = write_template(tmp_path / "t.txt", "mtl", "abaw7", {"b_left": 5}, step=2)
    report = submit(mine, tmp_path / "o.zip", "mtl", "abaw7", template)
    assert (report.rows, report.tracks, report.left_out, dict(report.repeated)) == (3, 1, 18, {})


@pytest.mark.parametrize("edition", ["abaw2", "abaw6"])
@pytest.mark.parametrize(("more", "fine"), [(1, True), (2, True), (3, False)])
def test_two_rows_behind_the_last_are_repeated(
    tmp_path: Path, edition: str, more: int, fine: bool
) -> None:
    mine = write_predictions(tmp_path / "p", "va", edition, listed=False)
    frames = {**FRAMES, "a": 7 + more}
    template = write_template(tmp_path / "t.txt", "va", edition, frames)
    if edition == "abaw2":
        template.write_text("".join(f"{name} {rows}\n" for name, rows in frames.items()))
    out = tmp_path / "o.zip"
    report = submit(mine, out, "va", edition, template)
    assert out.exists() == fine
    if fine:
        assert dict(report.repeated) == {"a": more}
        assert not check_submission(out, "va", edition, template).counts
    else:
        assert report.counts == {"missing rows": 1}
        assert report.faults[0].text == "a row 10 is missing"


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("edition", ["abaw3", "abaw8"])
def test_a_missing_track_keeps_the_zip_from_being_made(
    tmp_path: Path, edition: str, listed: bool
) -> None:
    mine = write_predictions(tmp_path / "p", "expr", edition, listed=listed)
    template = write_template(tmp_path / "t.txt", "expr", edition, {**FRAMES, "b": 4})
    report = submit(mine, tmp_path / "o.zip", "expr", edition, template)
    assert report.counts == {"missing file": 1}
    assert "(but one of 'b_left')" in report.faults[0].text
    assert not (tmp_path / "o.zip").exists()


def test_an_old_zip_stays_if_the_new_one_has_faults(tmp_path: Path) -> None:
    mine = write_predictions(tmp_path / "p", "va", "abaw6", listed=True)
    (tmp_path / "o.zip").write_text("old")
    template = write_template(tmp_path / "t.txt", "va", "abaw6", {"c": 1})
    assert submit(mine, tmp_path / "o.zip", "va", "abaw6", template).counts
    assert (tmp_path / "o.zip").read_text() == "old"


def test_only_a_zip_of_ours_is_replaced(tmp_path: Path) -> None:
    made = write_predictions(tmp_path / "out", "va", "abaw6", listed=False)
    zipped = tmp_path / "va.zip"
    for _ in range(2):
        assert not submit(made, zipped, "va", "abaw6").counts
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("thesis.txt", "theirs")
    before = zipped.read_bytes()
    with pytest.raises(ForeignFileError, match=r"va\.zip"):
        submit(made, zipped, "va", "abaw6")
    assert zipped.read_bytes() == before


def test_what_was_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = write_predictions(tmp_path / "p", "va", "abaw6", listed=True)
    write = submit_module.write_zip

    def spoil(path: Path, files: object) -> None:
        write(
            path, [("predictions.txt", ["image_location,valence,arousal\n", "a/00001.jpg,2,2\n"])]
        )

    monkeypatch.setattr(submit_module, "write_zip", spoil)
    report = submit(mine, tmp_path / "o.zip", "va", "abaw6")
    assert report.counts == {"range": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_leading_markers_pass_only_if_allowed(tmp_path: Path) -> None:
    mine = write_predictions(tmp_path / "p", "va", "abaw2", listed=False)
    path = mine / "VA_Set/a.txt"
    path.write_text("\n".join(["x", "-5,-5", "-5,-5", *["0.1,0.1"] * 5]))
    names = write_template(tmp_path / "t.txt", "va", "abaw2")
    report = submit(mine, tmp_path / "o.zip", "va", "abaw2", names)
    assert [(fault.file, fault.line) for fault in report.faults] == [("a.txt", 2)]
    assert report.counts == {"no prediction": 1}
    report = submit(mine, tmp_path / "o.zip", "va", "abaw2", names, allow_missing=True)
    assert (report.marked, report.counts) == (2, {})
    assert check_submission(tmp_path / "o.zip", "va", "abaw2", names).counts == {
        "no prediction": 1
    }
    assert not check_submission(
        tmp_path / "o.zip", "va", "abaw2", names, allow_missing=True
    ).counts


def test_without_a_template_it_says_so_and_finds_gaps(tmp_path: Path) -> None:
    mine = tmp_path / "p.txt"
    mine.write_text("image_location,valence,arousal\na/00001.jpg,0,0\na/00003.jpg,0,0\n")
    events: list[object] = []
    report = submit(mine, tmp_path / "o.zip", "va", "abaw6", on_event=events.append)
    assert [event.warning for event in events if isinstance(event, Notice)] == [True]
    assert report.faults[0].text == "a row 2 is missing"
    report = check_submission(mine, "va", "abaw6", on_event=events.append)
    assert report.counts == {"missing rows": 1}
    assert len(events) == 2


def test_predictions_in_another_form_are_checked_as_submit_would(tmp_path: Path) -> None:
    mine = write_predictions(tmp_path / "p", "va", "abaw6", listed=False)
    template = write_template(tmp_path / "t.txt", "va", "abaw6", {**FRAMES, "a": 8})
    report = check_submission(mine, "va", "abaw6", template)
    assert report.raw
    assert not report.counts
    assert dict(report.repeated) == {"a": 1}


def test_odd_files_are_left_out_when_made_and_a_fault_when_checked(tmp_path: Path) -> None:
    mine = write_predictions(tmp_path / "p", "va", "abaw3", listed=False)
    names = write_template(tmp_path / "t.txt", "va", "abaw3", {"a": 7, "b_left": 5})
    assert not submit(mine, tmp_path / "o.zip", "va", "abaw3", names).counts
    found = check_submission(mine, "va", "abaw3", names).counts
    # Its header is no header of the challenge.
    assert found == {"unexpected file": 1, "header": 2}
    folder = mine / "VA_Estimation_Challenge"
    (folder / "a.txt").rename(folder / "a.mp4.txt")
    assert submit(mine, tmp_path / "o2.zip", "va", "abaw3", names).counts == {"file name": 1}


def test_wrong_use(tmp_path: Path) -> None:
    mine = write_predictions(tmp_path / "p", "va", "abaw6", listed=True)
    out = tmp_path / "o.zip"
    with pytest.raises(UsageError, match="takes no submissions"):
        submit(mine, out, "mtl", "abaw6")
    with pytest.raises(UsageError, match=r"does not end in \.zip"):
        submit(mine, tmp_path / "o.txt", "va", "abaw6")
    with pytest.raises(InputNotFoundError, match="no file or folder"):
        submit(tmp_path / "none", out, "va", "abaw6")
    with pytest.raises(InputNotFoundError, match="no predictions of task 'expr'"):
        submit(
            write_predictions(tmp_path / "q", "va", "abaw6", listed=False), out, "expr", "abaw6"
        )
    (mine / "a.txt").write_text("valence,arousal\n0,0\n")
    with pytest.raises(UsageError, match="has both"):
        submit(mine, out, "va", "abaw6")
    (mine / "a.txt").unlink()
    assert not submit(mine, out, "va", "abaw6").counts
    with pytest.raises(UsageError, match="is a zip already"):
        submit(out, tmp_path / "o2.zip", "va", "abaw6")
    (tmp_path / "d.zip").mkdir()
    with pytest.raises(OutputError):
        submit(mine, tmp_path / "d.zip", "va", "abaw6")


def rezip(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ([], {"missing file"}),
        ([("x/predictions.txt", None)], {"zip folder"}),
        ([("mine.txt", None)], {"file name"}),
        ([("predictions.txt", None), (".DS_Store", b"")], {"zip junk"}),
        ([("predictions.txt", None), ("a.txt", b"")], {"unexpected file"}),
        ([("a.txt", b"1"), ("b.txt", b"1")], {"unexpected file", "missing file"}),
        ([("predictions.txt", b"")], {"empty"}),
    ],
)
def test_zips_of_other_makers(tmp_path: Path, files, kinds) -> None:
    mine = write_predictions(tmp_path / "p", "va", "abaw6", listed=True)
    template = write_template(tmp_path / "t.txt", "va", "abaw6")
    submit(mine, tmp_path / "o.zip", "va", "abaw6", template)
    good = ("\n".join(submitted(tmp_path / "o.zip"))).encode()
    content = [(name, good if text is None else text) for name, text in files]
    report = check_submission(rezip(tmp_path / "z.zip", content), "va", "abaw6", template)
    assert set(report.counts) == kinds


@pytest.mark.parametrize("form", ["abaw3", "abaw6"])
def test_damaged_zips(tmp_path: Path, form: str) -> None:
    mine = write_predictions(tmp_path / "p", "va", form, listed=True)
    submit(mine, tmp_path / "o.zip", "va", form)
    content = bytearray((tmp_path / "o.zip").read_bytes())
    content[len("predictions.txt") + 60] ^= 255
    (tmp_path / "z.zip").write_bytes(content)
    assert check_submission(tmp_path / "z.zip", "va", form).counts["zip"] == 1
    (tmp_path / "z.zip").write_text("no zip at all")
    assert check_submission(tmp_path / "z.zip", "va", form).counts == {"zip": 1}


def _drop(rows: list[str], at: int) -> None:
    del rows[at]


def _twice(rows: list[str], at: int) -> None:
    rows.insert(at, rows[at])


def _swap(rows: list[str], at: int) -> None:
    rows[at], rows[at - 1] = rows[at - 1], rows[at]


def _replaced(by: str) -> Callable[[list[str], int], None]:
    def change(rows: list[str], at: int) -> None:
        image = rows[at].split(",")[0]
        rows[at] = by.replace("*", image)

    return change


DAMAGE = {
    "missing rows": _drop,
    "duplicate rows": _twice,
    "order": _swap,
    "value": _replaced("*,what,0"),
    "range": _replaced("*,7,0"),
    "no prediction": _replaced("*,-5,-5"),
    "columns": _replaced("*,0.5"),
    "blanks": _replaced("*,0.5, 0.5"),
    "line ends": _replaced("*,0.5,0.5\r"),
}
# Far enough from each other that no damage hides another.
PLACES = range(2, 60, 5)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted(DAMAGE)), st.sampled_from(PLACES), min_size=1),
       st.sampled_from(["", "header", "encoding"]))  # fmt: skip
def test_every_damage_is_found(
    tmp_path_factory: pytest.TempPathFactory, damage: dict[str, int], start: str
) -> None:
    if len(set(damage.values())) < len(damage):
        damage = {kind: at for at, kind in {at: kind for kind, at in damage.items()}.items()}
    folder = tmp_path_factory.mktemp("damage")
    template = write_template(folder / "t.txt", "va", "abaw6", {"a": 40, "b": 30})
    head, *rows = template.read_text().replace(DUMMY["va"], "0.25,0.75").splitlines()
    for kind, at in sorted(damage.items(), key=lambda item: -item[1]):
        DAMAGE[kind](rows, at)
    head = {"header": "image,v,a", "encoding": "\ufeff" + head, "": head}[start]
    content = "\n".join([head, *rows]).encode()
    path = rezip(folder / "z.zip", [("predictions.txt", content)])
    report = check_submission(path, "va", "abaw6", template)
    assert set(report.counts) == set(damage) | ({start} - {""})
    assert len(report.faults) == sum(report.counts.values())
