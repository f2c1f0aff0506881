"""The library's messages name settings as Python takes them; `cli.words` makes options of them."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import avaffect
from avaffect.cli.terminal import Reporter, Row
from avaffect.cli.words import SETTING, as_options, options
from avaffect.errors import UsageError, setting
from avaffect.progress import Notice
from avaffect.sound.voice import DEFAULT_VOICE

LIBRARY = Path(avaffect.__file__).parent
# What own columns are mapped by; no setting.
COLUMN_KEYS = {"scale", "clip"}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("or replace them with overwrite=True", "or replace them with --overwrite"),
        ('predict with missing="linear".', "predict with --missing linear."),
        ('form="files" or form="mtl", as', "--format files or --format mtl, as"),
        ("(audio_stream=N takes another)", "(--audio-stream N takes another)"),
        ("video_stream=0 takes it", "--video-stream 0 takes it"),
        ("sound_rate=12.5; crop_size=112", "--sound-rate 12.5; --crop-size 112"),
        ("leave out split=..., or", "leave out --split, or"),
        ('name it, as out="NAME.zip"', "name it, as -o NAME.zip"),
        ("give root=... or labels=...", "give --data or --labels"),
        ("columns=... and clips=... are", "--column and --clips are"),
        ('which="auto"', "--features auto"),
        ('tasks=["va", "au"]', "--task va,au"),
        ('modalities=["audio"]', "--modalities audio"),
        ('encoders=("fer",)', "--encoder fer"),
        ('encoders=("fer", "mbf")', "--encoder fer --encoder mbf"),
        ('changes=["train.schedule_factor=0.1"]', "--set train.schedule_factor=0.1"),
        ('changes=["branches.a.features=[...]"]', "--set 'branches.a.features=[...]'"),
        ("leave out join_changes=...", "leave out --set-join"),
        ('name="two words"', "--name 'two words'"),
        # What switches something on or off has no value on the command line.
        ("noncommercial=False leaves it out", "--no-nc leaves it out"),
        ("leave out audio=None", "leave out --no-audio"),
        ("thresholds=False", "--no-thresholds"),
        (f'voice="{DEFAULT_VOICE}"', "--voice"),
        ("voice=None", "--no-voice"),
    ],
)
def test_settings_become_options(message: str, shown: str) -> None:
    assert as_options(message) == shown


@pytest.mark.parametrize(
    "text",
    [
        "'fps=25.mp4' is empty",
        "'my fps=25 clip.mp4' is empty",
        "'/data/it's fps=25 here/a.mp4' is empty",
        "'overwrite=True': nothing",
        "name the file itself: '/a b/fps=25 c.mp4'",
        "in fps=25.mp4 and overwrite=True.txt",
        "/data/fps=25/clip.mp4",
        r"C:\data\fps=25",
        "fps=25/clip.mp4, x-fps=25, fps=25-b",
        # Keys of recipes and of own columns, and what other libraries say.
        "set train.seed=1",
        "write the two ends, as scale=-100,100",
        "map one, as valence=COLUMN, expression=COLUMN",
        "clip=path",
        "expected dim=1, got dtype=float32",
        "overwrite=False",
    ],
)
def test_names_and_other_words_are_left(text: str) -> None:
    assert as_options(text) == text


def test_an_apostrophe_quotes_nothing() -> None:
    assert as_options("the video's fps=25 and the clips' rotate=90") == (
        "the video's --fps 25 and the clips' --rotate 90"
    )


def test_notices_and_failures_are_shown_with_options(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter()(Notice("3 more people in 'fps=1 a.mp4': subjects=\"all\""))
    assert capsys.readouterr().err == "3 more people in 'fps=1 a.mp4': --subjects all\n"
    error = UsageError("'fps=1 a.mp4' is there already", "use overwrite=True")
    row = Row.failed(Path("fps=1 a.mp4"), error)
    assert row.source == "fps=1 a.mp4"
    assert row.error == "'fps=1 a.mp4' is there already: use --overwrite"
    # Python's own words stay in the error.
    assert error.hint == "use overwrite=True"


def test_an_error_ends_a_command_with_options(run, tmp_path: Path) -> None:
    (tmp_path / "fps=25 a").mkdir()
    failed = run("predict", tmp_path / "fps=25 a", "-o", tmp_path / "out")
    assert failed.code == 2
    assert "/fps=25 a' holds no video" in failed.error
    assert "--recursive also searches" in failed.error


def strings(tree):
    """(line, text, parent) of all strings but docstrings; what f-strings fill in is a 1."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        parent = parents.get(node)
        if isinstance(node, ast.JoinedStr):
            parts = [getattr(part, "value", "1") for part in node.values]
            text = "".join(part if isinstance(part, str) else "1" for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if not isinstance(parent, ast.Expr | ast.JoinedStr | ast.FormattedValue):
            yield node.lineno, text, parent


@cache
def modules():
    """(path, tree) of each file of the library."""
    return [
        (path, ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(LIBRARY.rglob("*.py"))
        if "cli" not in path.relative_to(LIBRARY).parts
    ]


@cache
def all_strings():
    """(path, line, text, parent) of :func:`strings` of each file."""
    return [(path, *string) for path, tree in modules() for string in strings(tree)]


def names_an_option(text):
    """Whether ``text`` names a long option, or the short one that all know."""
    return re.search(r"(?<![\w-])(--[a-z]|-o\b)", text) is not None


@pytest.mark.no_cover
def test_messages_of_the_library_name_no_option() -> None:
    assert names_an_option("choose another folder with -o, or --overwrite it")
    assert not names_an_option("one half - or less - of a, e.g. ffmpeg -i 'a' -c copy non-zero")
    found = [
        f"{path.relative_to(LIBRARY)}:{line}: {text}"
        for path, line, text, parent in all_strings()
        # The arguments of processes that the library starts are lists.
        if names_an_option(text) and not isinstance(parent, ast.List)
    ]
    assert found == []


@pytest.mark.no_cover
def test_docstrings_of_the_library_name_no_option() -> None:
    found = [
        f"{path.relative_to(LIBRARY)}: {node.value.value}"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and names_an_option(node.value.value)
    ]
    assert found == []


@cache
def named_settings():
    """Settings that the messages of the library name, with their values."""
    found = set()
    for _, _, text, _ in all_strings():
        found |= {match[0] for match in SETTING.finditer(text) if match["name"]}
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setting":
                name = node.args[0]
                assert isinstance(name, ast.Constant)
                found.add(setting(name.value, ["1"]))
    return {text for text in found if text.partition("=")[0] not in COLUMN_KEYS}


@pytest.mark.no_cover
def test_every_setting_of_a_message_is_an_option() -> None:
    settings = named_settings()
    # The walk finds them in plain strings, in f-strings and in `setting`.
    assert {"overwrite=True", "crop_size=1", 'form="files"', 'branch="1"'} <= settings
    known = {name for option in options().values() for name in option.opts}
    for text in settings:
        shown = as_options(text)
        assert shown != text and shown.split()[0] in known, text


@pytest.mark.no_cover
def test_every_setting_of_a_message_is_one_of_python() -> None:
    """The name is that of a parameter of a function, or of a field of a class."""
    python = set()
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.arg):
                python.add(node.arg)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                python.add(node.target.id)
    assert {text.partition("=")[0] for text in named_settings()} <= python
