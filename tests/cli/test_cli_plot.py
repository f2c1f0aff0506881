"""``avaffect plot``."""

from pathlib import Path

import numpy as np

from avaffect.files.table import write_table


def test_figures_of_a_folder(run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        table = {"frame": np.arange(1, 11), "time": np.arange(10) / 5}
        values = {
            each: np.linspace(-1, 1, 10, dtype=np.float32) for each in ("valence", "arousal")
        }
        write_table(tmp_path / f"out/tables/{name}.parquet", table | values, {"subject": name})
    done = run("plot", tmp_path / "out", "-o", tmp_path / "a.pdf", "--group")
    assert (done.code, done.out) == (0, "")
    assert "2 subjects" in done.err
    assert run("plot", tmp_path / "out", "-o", tmp_path / "b.png", "--subject", "a").code == 0
    again = run("plot", tmp_path / "out", "-o", tmp_path / "b.png")
    assert again.code == 2
    assert "--overwrite" in again.error
    alone = run("plot", tmp_path / "out", "-o", tmp_path / "c.png", "--subject", "a", "--group")
    assert "no group" in alone.error
