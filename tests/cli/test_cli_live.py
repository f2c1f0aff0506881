"""``avaffect live``: a file in place of a camera, and one line where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from avaffect.cli.live import live
from avaffect.errors import AvaffectError
from avaffect.live.run import Lived


def test_what_was_done_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def stand_in(camera: int | None, source: str | None, out: str | None, **options: object):
        given.update(options, camera=camera, source=source, out=out)
        return Lived(250, 3, 2, 400, 9.96, 0.0212, 0.04, tmp_path / "live.csv")

    monkeypatch.setattr("avaffect.live.run.live", stand_in)
    words = ["--source", "a.mp4", "-o", "live.csv", "--seconds", "10", "--delay", "0.25",
             "--no-window", "-t", "va", "--no-sound"]  # fmt: skip
    done = CliRunner().invoke(live, words, catch_exceptions=False)
    assert (
        "250 frames in 10.0 s; 3 dropped; 2 people; results 21 ms (95 %: 40 ms) after their "
        "frames" in done.output
    )
    assert "400 rows: " in done.output
    assert given["window"] is False
    assert (given["delay"], given["seconds"], given["task"]) == (0.25, 10.0, "va")
    assert (given["camera"], given["sound"], given["checkpoint"]) == (None, False, None)
    CliRunner().invoke(live, ["--camera", "1"], catch_exceptions=False)
    assert (given["camera"], given["window"]) == (1, None)


def test_nothing_and_two_things_to_watch_are_wrong_use() -> None:
    for words in ([], ["--camera", "0", "--source", "a.mp4"]):
        done = CliRunner().invoke(live, words)
        assert isinstance(done.exception, AvaffectError)
        assert done.exception.exit_code == 2
