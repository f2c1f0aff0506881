"""``avaffect render``."""

from pathlib import Path

from avaffect.media.frames import FrameReader


def test_predict_then_render(run, clip: Path, tmp_path: Path) -> None:
    out, film = tmp_path / "out", tmp_path / "drawn.mp4"
    assert run("predict", clip, "-o", out).code == 0
    done = run("render", clip, out, "-o", film)
    assert (done.code, done.out) == (0, "")
    assert "12 frames with sound" in done.err
    with FrameReader(film) as reader:
        assert sum(1 for _ in reader) == 12
    again = run("render", clip, out, "-o", film)
    assert again.code == 2
    assert "--overwrite" in again.error
    assert run("render", clip, out, "-o", film, "--overwrite", "--subject", "face").code == 0
    assert (
        "did you mean 'face'" in run("render", clip, out, "-o", "a.mp4", "--subject", "fac").error
    )


def test_foreign_files_and_wrong_names(run, clip: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "film.mp4"
    foreign.write_bytes(b"not ours")
    assert "no record" in run("render", clip, tmp_path, "-o", foreign, "--overwrite").error
    assert foreign.read_bytes() == b"not ours"
    assert "no tables" in run("render", clip, tmp_path, "-o", tmp_path / "a.mp4").error
