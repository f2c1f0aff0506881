"""Ways in which a file can be wrong, as strategies of hypothesis.

`changed` takes a valid file's bytes and its name: half of the draws change bytes without knowing
what they mean, the other half keep the file's own structure and make one thing in it odd, which
leads a reader further in.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hypothesis import strategies as st

# What stands where something else is expected.
ODD = st.sampled_from(
    [None, True, -1, 0, 10**30, 1e308, "", "../x", "/etc", "\0", "con", "x" * 300, "\ud800",
     [], {}, [[]], [None], {"": None}, [1e9], {"a": {"b": "c"}}]
)  # fmt: skip
ODD_BYTES = st.sampled_from(
    [b"\n", b"\r", b"\0", b"nan", b"inf", b"1e999", b"[" * 5000, b"\xff", b"9" * 400, b"9" * 5000,
     b"../", b"\xef\xbb\xbf", b"&a [*a]"]
)  # fmt: skip
ODD_CELLS = st.sampled_from(
    ["", " ", "nan", "inf", "-inf", "1e999", "-1", "1_0", "0x1", "9" * 500, "../x", "\0", "é",
     "٣", '"', "=1+1", "1,5", "true", "x" * 5000, "1;2", "\t", "\x85", "\u2028"]
)  # fmt: skip
# Sizes that a header may claim.
ODD_SIZES = st.sampled_from([0, 1, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1])


@st.composite
def changed_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """``data`` cut, with bytes exchanged, with something put in, or anything else."""
    way = draw(st.integers(0, 5))
    if way == 0:
        return draw(st.binary(max_size=200))
    if way == 1:
        return data[: draw(st.integers(0, len(data)))]
    if way == 2:
        at = draw(st.integers(0, len(data)))
        return data[:at] + draw(ODD_BYTES) + data[at:]
    changed = bytearray(data)
    if way == 3:
        size = draw(st.sampled_from("BHIQ"))
        number = draw(ODD_SIZES) & (2 ** (8 * struct.calcsize(size)) - 1)
        at = draw(st.integers(0, len(data)))
        changed[at : at + struct.calcsize(size)] = struct.pack(
            draw(st.sampled_from("<>")) + size, number
        )
        return bytes(changed)
    for _ in range(draw(st.integers(1, 6))):
        if changed:
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return bytes(changed)


@st.composite
def changed_tree(draw: st.DrawFn, tree: Any) -> Any:
    """A tree of which one value is another's type, or gone, or there twice."""
    places: list[tuple[Any, Any]] = [([tree], 0)]

    def walk(value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    if isinstance(tree, dict | list):
        walk(tree)
    holder, key = draw(st.sampled_from(places))
    if draw(st.booleans()) and isinstance(holder, dict):
        kept = holder.pop(key)
        if draw(st.booleans()):
            holder[draw(st.sampled_from(["", "../x", "__class__", "a" * 300]))] = kept
    else:
        holder[key] = draw(ODD)
    # The first place is that of the whole.
    return places[0][0][0]


@st.composite
def changed_json(draw: st.DrawFn, data: bytes) -> bytes:
    return json.dumps(draw(changed_tree(json.loads(data)))).encode()


@st.composite
def changed_yaml(draw: st.DrawFn, data: bytes) -> bytes:
    tree = draw(changed_tree(yaml.safe_load(data)))
    return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace")


@st.composite
def changed_rows(draw: st.DrawFn, data: bytes) -> bytes:
    """Text in rows and columns of which one cell, row or separator is odd."""
    rows = [line.split(",") for line in data.decode().split("\n")]
    way = draw(st.integers(0, 5))
    row = draw(st.integers(0, len(rows) - 1))
    if way < 3:
        rows[row][draw(st.integers(0, len(rows[row]) - 1))] = draw(ODD_CELLS)
    elif way == 3:
        rows.insert(row, list(draw(st.sampled_from(rows))))
    elif way == 4:
        rows[row] += [draw(ODD_CELLS)] * draw(st.integers(1, 3))
    between = draw(st.sampled_from([",", ",", ";", "\t"])) if way == 5 else ","
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    text = end.join(between.join(cells) for cells in rows)
    coding = draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "utf-8-sig", "latin-1"]))
    return text.encode(coding, "replace")


@st.composite
def changed_npy(draw: st.DrawFn, data: bytes) -> bytes:
    """An array whose header claims something else."""
    types = ["<f4", ">f8", "<i8", "|b1", "<U5", "|S3", "|O", "<c16", "<M8[s]", "<f2",
             [("a", "<f4")], "|V8"]  # fmt: skip
    shape = draw(st.lists(st.one_of(st.integers(-1, 5), ODD_SIZES), max_size=4).map(tuple))
    header = {
        "descr": draw(st.sampled_from(types)),
        "fortran_order": draw(st.booleans()),
        "shape": shape,
    }
    text = repr(draw(st.one_of(st.just(header), changed_tree(header)))).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data[-48:]


@st.composite
def changed_safetensors(draw: st.DrawFn, data: bytes) -> bytes:
    """Tensors whose places, shapes or types are others."""
    (length,) = struct.unpack("<Q", data[:8])
    tree = draw(changed_tree(json.loads(data[8 : 8 + length])))
    text = json.dumps(tree).encode()
    claimed = draw(st.one_of(st.just(len(text)), ODD_SIZES))
    return struct.pack("<Q", claimed) + text + data[8 + length :]


@st.composite
def changed_parquet(draw: st.DrawFn, data: bytes) -> bytes:
    """A table of which a column is of another type, gone, or there twice; or its record is odd."""
    table = pq.read_table(io.BytesIO(data))
    rows = table.num_rows
    odd = [
        pa.nulls(rows),
        pa.array(["x"] * rows),
        pa.array([b"\xff"] * rows),
        pa.array([[1.0, None]] * rows),
        pa.array([{"a": 1}] * rows),
        pa.array([float("nan")] * rows),
        pa.array([float("inf")] * rows, pa.float32()),
        pa.array([2**62] * rows),
        pa.array([-1] * rows, pa.int8()),
        pa.array([True, None] * rows)[:rows],
        pa.array([0] * rows, pa.timestamp("us")),
        pa.array([1] * rows, pa.uint64()),
        pa.array(["x"] * rows).dictionary_encode(),
        pa.array([1] * rows, pa.decimal128(38, 10)),
    ]
    at = draw(st.integers(0, table.num_columns - 1))
    way = draw(st.integers(0, 4))
    if way == 0:
        table = table.remove_column(at)
    elif way == 1:
        table = table.append_column(table.column_names[at], draw(st.sampled_from(odd)))
    elif way == 2:
        table = table.slice(0, draw(st.integers(0, rows)))
    elif way == 3:
        known = dict(table.schema.metadata or {})
        key = draw(st.sampled_from(sorted(known) or [b"avaffect"]))
        try:
            known[key] = draw(changed_json(known[key]))
        except (KeyError, ValueError):
            known[key] = draw(ODD_BYTES)
        table = table.replace_schema_metadata(known)
    else:
        table = table.set_column(at, table.column_names[at], draw(st.sampled_from(odd)))
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


@st.composite
def changed_zip(draw: st.DrawFn, data: bytes) -> bytes:
    """An archive with odd names, too much in it, links, or the same name twice."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = [(each.filename, archive.read(each)) for each in archive.infolist()]
    out = io.BytesIO()
    names = ["../x.txt", "/etc/x.txt", "a/" * 200 + "x.txt", "C:\\x.txt", "x\0.txt", "",
             "a\\..\\x.txt", ".txt", "con.txt", files[0][0], "x" * 4000 + ".txt"]  # fmt: skip
    with zipfile.ZipFile(out, "w", draw(st.sampled_from([0, 8, 12, 14]))) as archive:
        for name, content in files:
            way = draw(st.integers(0, 4))
            member = zipfile.ZipInfo(draw(st.sampled_from(names)) if way == 0 else name)
            member.compress_type = archive.compression
            if way == 1:
                member.external_attr = 0o120777 << 16
            if way == 2:
                content *= draw(st.sampled_from([0, 50]))
            if way == 3:
                content = draw(changed_bytes(content))
            archive.writestr(member, content)
    return out.getvalue()


def changed_npz(data: bytes) -> st.SearchStrategy[bytes]:
    """An archive of arrays of which one is odd."""

    @st.composite
    def change(draw: st.DrawFn) -> bytes:
        if draw(st.booleans()):
            return draw(changed_zip(data))
        out, plain = io.BytesIO(), io.BytesIO()
        np.save(plain, np.arange(12, dtype=np.float32).reshape(4, 3))
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", draw(changed_npy(plain.getvalue())))
            archive.writestr("t.npy", plain.getvalue())
        return out.getvalue()

    return change()


@st.composite
def changed_boxes(draw: st.DrawFn, data: bytes) -> bytes:
    """A film of boxes (MP4) of which one has another size or kind, or is there twice."""
    places = []

    def walk(start: int, end: int) -> None:
        at = start
        while at + 8 <= end and len(places) < 500:
            size = int.from_bytes(data[at : at + 4], "big")
            if not 8 <= size <= end - at:
                return
            places.append((at, size))
            if data[at + 4 : at + 8] in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"):
                walk(at + 8, at + size)
            at += size

    walk(0, len(data))
    if not places:
        return draw(changed_bytes(data))
    at, size = draw(st.sampled_from(places))
    way = draw(st.integers(0, 3))
    if way == 0:
        claimed = (draw(ODD_SIZES) & 0xFFFFFFFF).to_bytes(4, "big")
        return data[:at] + claimed + data[at + 4 :]
    if way == 1:
        return data[: at + size] + data[at : at + size] + data[at + size :]
    inside = draw(changed_bytes(data[at + 8 : at + size]))
    if way == 2:
        head = (8 + len(inside)).to_bytes(4, "big") + data[at + 4 : at + 8]
        return data[:at] + head + inside + data[at + size :]
    return data[: at + 4] + draw(st.sampled_from([b"free", b"moov", b"uuid"])) + data[at + 8 :]


BY_ENDING: dict[str, Callable[[bytes], st.SearchStrategy[bytes]]] = {
    ".json": changed_json,
    ".yaml": changed_yaml,
    ".txt": changed_rows,
    ".csv": changed_rows,
    ".npy": changed_npy,
    ".npz": changed_npz,
    ".safetensors": changed_safetensors,
    ".parquet": changed_parquet,
    ".zip": changed_zip,
    ".task": changed_zip,
    ".mp4": changed_boxes,
    ".mov": changed_boxes,
}


@st.composite
def changed(draw: st.DrawFn, data: bytes, name: str) -> bytes:
    """``data``, the content of a valid file called ``name``, changed in one of these ways."""
    by_ending = BY_ENDING.get(PurePath(name).suffix)
    if by_ending is None or draw(st.booleans()):
        return draw(changed_bytes(data))
    return draw(by_ending(data))
