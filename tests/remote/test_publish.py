"""What is published is whole, or does not look so; and nobody else's files are touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.stores import SECRET, Store

from avaffect.errors import ForeignFileError, RemoteError
from avaffect.remote.address import TRIES, Address
from avaffect.remote.origin import Origin
from avaffect.remote.publish import publish
from avaffect.remote.receipt import Receipt, read_receipt

NAME = "receipts/preprocess.json"
RECEIPT = Receipt(
    Origin("s3://b/v.mp4", "tag", 3, "0" * 64), "settings", ("features", "record.json")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results: two files in a folder, and the record that says that they are complete."""
    root = tmp_path / "out"
    (root / "features/v").mkdir(parents=True)
    for name in ("features/v/a.npy", "features/v/b.npy", "record.json", "not_ours"):
        (root / name).write_text(name * 9)
    (root / "features/.x.tmp").write_text("hidden")
    return root


def send(folder: Path, target: Address, receipt: Receipt = RECEIPT) -> int:
    return publish(folder, target, receipt, NAME, records=["record.json"])


def puts(s3: Store) -> list[str]:
    start = f"PUT /{s3.bucket}/out/"
    return [each.removeprefix(start) for each in s3.asked if each.startswith(start)]


def test_the_record_comes_last_and_the_receipt_after_it(s3: Store, folder: Path) -> None:
    target = Address.of(s3("out"))
    assert send(folder, target) == 3
    sent = puts(s3)
    assert (sent[0], sent[-2:]) == (NAME, ["record.json", NAME])
    assert sorted(sent[1:3]) == ["features/v/a.npy", "features/v/b.npy"]
    assert s3.names("out/") == [f"out/{name}" for name in sorted({*sent})]
    assert read_receipt(target.child(NAME)) == replace(RECEIPT, done=True)


def test_what_is_there_is_not_sent_again_and_what_is_gone_goes(s3: Store, folder: Path) -> None:
    target = Address.of(s3("out"))
    send(folder, target)
    assert send(folder, target) == 0
    (folder / "features/v/a.npy").unlink()
    (folder / "features/v/b.npy").write_text("new")
    s3.put("out/other", b"somebody's")
    # The record is the same; it was taken away while the others were exchanged.
    assert send(folder, target) == 2
    assert s3.names("out/") == [
        "out/features/v/b.npy",
        "out/other",
        f"out/{NAME}",
        "out/record.json",
    ]
    assert s3.get("out/features/v/b.npy") == b"new"


@pytest.mark.parametrize("where", ["a.npy", "record.json"])
def test_a_partial_upload_does_not_look_complete(s3: Store, folder: Path, where: str) -> None:
    target = Address.of(s3("out"))
    s3.faults += [("PUT", f"{where}$", "503")] * TRIES
    with pytest.raises(RemoteError, match="failed 4 times") as error:
        send(folder, target)
    assert SECRET not in str(error.value)
    assert "out/record.json" not in s3.names("out/")
    receipt = read_receipt(target.child(NAME))
    assert receipt is not None
    assert not receipt.done
    # What it left is ours: the next run goes on.
    s3.faults.clear()
    send(folder, target)
    assert s3.get("out/record.json") == (folder / "record.json").read_bytes()


def test_an_old_record_is_gone_before_new_files_come(s3: Store, folder: Path) -> None:
    target = Address.of(s3("out"))
    send(folder, target)
    (folder / "features/v/a.npy").write_text("new")
    s3.faults += [("PUT", "a.npy", "503")] * TRIES
    with pytest.raises(RemoteError):
        send(folder, target)
    assert "out/record.json" not in s3.names("out/")


def test_passing_faults_are_tried_again(s3: Store, folder: Path) -> None:
    s3.faults += [("PUT", "a.npy", "503"), ("PUT", "b.npy", "late"), ("PUT", "record", "503")]
    send(folder, Address.of(s3("out")))
    assert not s3.faults
    assert len(s3.names("out/")) == 4


@pytest.mark.parametrize("name", ["features/v/a.npy", "features/other", "record.json"])
def test_what_is_not_ours_is_not_touched(s3: Store, folder: Path, name: str) -> None:
    s3.put(f"out/{name}", b"somebody's")
    with pytest.raises(ForeignFileError, match="no receipt says"):
        send(folder, Address.of(s3("out")))
    assert s3.names() == [f"out/{name}"]
    assert s3.get(f"out/{name}") == b"somebody's"


def test_many_parts_that_fail_leave_no_upload(
    s3: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda size, **_: 5 << 20)
    with (folder / "features/v/big.npy").open("wb") as file:
        file.truncate(11 << 20)
    s3.faults += [("PUT", "big.npy.*partNumber=2", "503")] * TRIES
    with pytest.raises(RemoteError):
        send(folder, Address.of(s3("out")))
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=s3.bucket)
    assert "out/features/v/big.npy" not in s3.names()
    s3.faults.clear()
    send(folder, Address.of(s3("out")))
    assert len(s3.get("out/features/v/big.npy")) == 11 << 20


def test_a_shared_disk_gets_whole_files(folder: Path, tmp_path: Path) -> None:
    target = Address.of(f"file://{tmp_path}/shared")
    assert send(folder, target) == 3
    found = {path.relative_to(tmp_path / "shared").as_posix() for path in
             (tmp_path / "shared").rglob("*") if path.is_file()}  # fmt: skip
    assert found == {NAME, "features/v/a.npy", "features/v/b.npy", "record.json"}
