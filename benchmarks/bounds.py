"""Peak memory of each reader of outside data on its worst small input.

    python benchmarks/bounds.py [NAME ...]

Each reader runs in a process of its own that may have 8 GB of addresses, so that one without a
bound fails here and harms nothing. Printed: the input's size, the peak of resident memory before
and after reading, and what came out. Inputs are made on the way, in a temporary folder.
"""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT = 8 << 30
ROWS = 6_000_000


def zipped(path: Path, pieces: Any, name: str = "predictions.txt") -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open(name, "w", force_zip64=True) as file,
    ):
        for piece in pieces:
            file.write(piece)


def newlines(path: Path) -> None:
    zipped(path, (b"\n" * (1 << 20) for _ in range(340)))


def rows(path: Path) -> None:
    def text() -> Any:
        yield b"image_location,valence,arousal\n"
        for start in range(0, 11_000_000, 100_000):
            yield b"".join(b"v/%05d.jpg,0,0\n" % n for n in range(start + 1, start + 100_001))

    zipped(path, text())


def subjects(path: Path) -> None:
    def text() -> Any:
        yield b"image_location,valence,arousal\n"
        for start in range(0, 2_000_000, 100_000):
            yield b"".join(b"v%d/00001.jpg,0,0\n" % n for n in range(start, start + 100_000))

    zipped(path, text())


def members(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(60_000):
            archive.writestr(f"{number:0150d}", b"")


def sparse(head: bytes, size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(head)
            file.truncate(size)

    return make


def text(value: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(value)


def checkpoint(path: Path, width: int = 10**9, units: int = 65_536) -> None:
    from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
    from avaffect.recipes.library import parse_recipe

    tree = {
        "name": "small",
        "branches": {"v": {"features": ["audio"], "layers": [{"kind": "gru", "units": [4]}]}},
        "tasks": {"va": {"terms": {"ccc": 1}}},
    }
    small = Checkpoint(parse_recipe(tree, ""), {"va": ("valence", "arousal")}, {"v": 3})
    save_checkpoint(path.parent, small, small.build())
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["widths"]["v"] = width
    facts["recipe"]["branches"]["v"]["layers"][0]["units"] = [units] * 60
    path.write_text(json.dumps(facts), encoding="utf-8")


def parquet_rows(path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(f"c{n}", pa.float64()) for n in range(20)], {"avaffect": "{}"})
    block = pa.Table.from_arrays([pa.array(np.zeros(1_000_000))] * 20, schema=schema)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for _ in range(100):
            writer.write_table(block)


def parquet_text(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), ["x" * 100_000])
    table = pa.table({"t": column}).replace_schema_metadata({"avaffect": "{}"})
    pq.write_table(table, path, compression="zstd")


def npy(path: Path) -> None:
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000000), }\n"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head)


def gif(path: Path, size: str = "9990x9990") -> None:
    from avaffect.media.ffmpeg import ffmpeg_binary

    source = f"color=s={size}:r=5:d=2"
    command = [ffmpeg_binary(), "-v", "error", "-f", "lavfi", "-i", source, str(path)]
    subprocess.run(command, check=True)


def png(path: Path) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(path), np.zeros((5700, 5700, 3), np.uint8))


def submission(path: Path) -> Any:
    from avaffect.challenge.submit import check_submission

    return check_submission(path, "va", "abaw5").counts


def load_checkpoint(path: Path) -> Any:
    from avaffect.networks.checkpoint import load_checkpoint

    return load_checkpoint(path.parent)


def read_table(path: Path) -> Any:
    from avaffect.files.table import read_table

    return read_table(path)


def read_any(path: Path) -> Any:
    from avaffect.datasets.tables import read_any

    return f"{read_any(path).rows} rows"


def read_json(path: Path) -> Any:
    from avaffect.files.outside import read_json

    return type(read_json(path, object)).__name__


def load_recipe(path: Path) -> Any:
    from avaffect.recipes.library import load_recipe

    return load_recipe(path)


def npy_file(path: Path) -> Any:
    from avaffect.files.npy import NpyFile

    return NpyFile(path)


def annotations(path: Path) -> Any:
    from avaffect.challenge.text import read_annotations

    return f"{len(read_annotations(path, 'va', 'abaw5'))} rows"


def single(path: Path) -> Any:
    from avaffect.challenge.single import read_single

    return f"{len(read_single(path, 'va', 'abaw5'))} subjects"


def template(path: Path) -> Any:
    from avaffect.challenge.templates import read_template

    return read_template(path, "va", "abaw2")


def frames(path: Path) -> Any:
    from avaffect.media.frames import FrameReader

    return f"{sum(1 for _ in FrameReader(path))} frames"


def face(path: Path) -> Any:
    from avaffect.files.picture_file import read_picture

    return read_picture(path, 112).shape


BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
CASES: dict[str, tuple[str, Callable[[Path], Any], Callable[[Path], Any]]] = {
    "zip of 340 MB of empty lines": ("a.zip", newlines, submission),
    "zip of 11 million rows": ("a.zip", rows, submission),
    "zip of 2 million subjects": ("a.zip", subjects, submission),
    "zip of 60,000 members": ("a.zip", members, submission),
    "checkpoint of widths 1e9": ("checkpoint.json", checkpoint, load_checkpoint),
    "JSON of 8 MB of lists": ("a.json", text("[" + "[]," * 2_790_000 + "[]]"), read_json),
    "JSON nested a million times": ("a.json", text("[" * 10**6), read_json),
    "YAML of aliases": ("a.yaml", text(BOMB), load_recipe),
    "YAML nested": ("a.yaml", text("[" * 100_000), load_recipe),
    "parquet of 100 million rows": ("a.parquet", parquet_rows, read_table),
    "parquet of a text, a million times": ("a.parquet", parquet_text, read_table),
    "stored array of 4e15 bytes": ("a.npy", npy, npy_file),
    "npy of 4e15 bytes": ("a.npy", npy, read_any),
    "CSV of one line of 4 GB": ("a.csv", sparse(b"x", 4 << 30), read_any),
    "CSV of 6 million short rows": ("a.csv", text("x,y\n" + "1,2\n" * ROWS), read_any),
    "labels in one line of 4 GB": ("a.txt", sparse(b"x", 4 << 30), annotations),
    "labels of 6 million rows": ("a.txt", text("valence,arousal\n" + "0.5,0\n" * ROWS),
                                 annotations),
    "list with image 999999999": ("a.txt", text("image,v\nv/999999999.jpg,0,0\n"), single),
    "names with 999999999 rows": ("a.txt", text("v 999999999\nw 999999999\n"), template),
    "GIF of 100 million pixels": ("a.gif", gif, frames),
    "GIF of 36 million pixels": ("a.gif", lambda path: gif(path, "5990x5990"), frames),
    "PNG of 32 million pixels": ("a.png", png, face),
}  # fmt: skip


def one(name: str) -> None:
    """Run a case in this process and print its row."""
    from avaffect.errors import AvaffectError

    file, _, read = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        # Made in another process: its memory is not the reader's.
        code = f"import bounds, pathlib; bounds.CASES[{name!r}][1](pathlib.Path({str(path)!r}))"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
        before, start = peak(), time.monotonic()
        try:
            out = str(read(path))
        except AvaffectError as error:
            out = f"{type(error).__name__}: {error.problem.replace(str(path), file)}"
        except BaseException as error:
            out = f"!! {type(error).__name__}: {error}"
        size, seconds = path.stat().st_size, time.monotonic() - start
    print(f"| {name} | {size:,} | {before} | {peak()} | {seconds:.1f} | {out[:110]} |", flush=True)


def peak() -> int:
    """The peak of this process's resident memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> None:
    """Run the cases named on the command line, or all."""
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2])
        return
    print("| input | bytes | MB before | MB peak | s | what came out |\n|---|---|---|---|---|---|")
    for name in sys.argv[1:] or CASES:
        subprocess.run([sys.executable, __file__, "--one", name], check=True)


if __name__ == "__main__":
    main()
