"""The self-test passes here, and tells what is wrong where it does not."""

from __future__ import annotations

import pytest

from avaffect.doctor import selftest


def test_it_passes(capsys: pytest.CaptureFixture[str]) -> None:
    selftest.main()
    assert capsys.readouterr().out.startswith("ok 10 frames, a face in each, mean valence ")


def test_it_tells_what_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise RuntimeError("no\nface")

    monkeypatch.setattr(selftest, "predicted", fail)
    selftest.main()
    assert capsys.readouterr().out == "fault RuntimeError: no face\n"
