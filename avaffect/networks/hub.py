"""Libraries of ready-made encoders, and their weights in the user's own hub caches.

The libraries are optional: ``pip install "avaffect[features]"``. Weights lie where Hugging Face's
and torch's own tools keep them (``HF_HOME``, ``TORCH_HOME``), and are fetched unless
``AVAFFECT_OFFLINE`` forbids it. Only safetensors are taken from Hugging Face, and no code; of
torchaudio's files only weights are read (``weights_only``).
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avaffect.config import fingerprint
from avaffect.errors import (
    AvaffectError,
    InputNotFoundError,
    MissingPackageError,
    ModelError,
    ModelUnavailableError,
    explained,
)
from avaffect.files.hashing import file_sha256
from avaffect.models.fetch import is_offline

UNKNOWN_LICENCE = "unknown: see the model's page"
_REPOSITORY = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)
KINDS = ("timm", "torchaudio", "hf")


@dataclass(frozen=True)
class Weights:
    """Weights of an encoder, as a record has them.

    Attributes:
        name: as the user gave it, such as ``timm:resnet18.a1_in1k``.
        sha256: of the file, or of all files' hashes.
        licence: as their maker says it.
    """

    name: str
    sha256: str
    licence: str = UNKNOWN_LICENCE


def is_named(text: str) -> bool:
    """Whether ``text`` names an encoder of a library, as ``timm:NAME``."""
    return text.partition(":")[0] in KINDS and ":" in text


def library(name: str) -> Any:
    """An optional library.

    Raises:
        MissingPackageError: it is not installed.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        found = importlib.import_module(name)
        if name == "transformers":
            # What is loaded from the disk needs no bar of its own among ours.
            importlib.import_module("transformers.utils.logging").disable_progress_bar()
        return found
    except ImportError as error:
        module = name.partition(".")[0]
        raise MissingPackageError(module, "features", "an encoder by name") from error


@contextmanager
def loading(name: str) -> Iterator[None]:
    """A block in which a library finds, fetches and builds the encoder ``name``.

    Whatever it raises is one of ours: libraries raise nearly anything.

    Raises:
        ModelUnavailableError: the weights are not there and not to be had.
        ModelError: they cannot be used.
    """
    try:
        yield
    except AvaffectError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) and (ours := explained(error)):
            raise ours from error
        text = (" ".join(str(error).split()) or type(error).__name__)[:200]
        if isinstance(error, OSError) or "offline" in text.lower() or "connect" in text.lower():
            if is_offline():
                raise ModelUnavailableError(
                    f"the weights of '{name}' are not in your cache",
                    "AVAFFECT_OFFLINE forbids to fetch them: run once without it, or give a "
                    "local folder as hf:FOLDER",
                ) from error
            raise ModelUnavailableError(
                f"the weights of '{name}' are not to be had ({text})",
                "check the name and the network, or give a local folder as hf:FOLDER",
            ) from error
        raise ModelError(
            f"'{name}' cannot be used ({text})", "choose another encoder, or another version"
        ) from error


def hub_file(repository: str, file: str, revision: str | None = None) -> Path:
    """A file of a repository at Hugging Face, in the user's own cache; in a block of `loading`."""
    hub = library("huggingface_hub")
    return Path(
        hub.hf_hub_download(repository, file, revision=revision, local_files_only=is_offline())
    )


def hub_folder(place: str) -> Path:
    """A local folder, or a repository's configuration and weights in safetensors alone.

    Raises:
        InputNotFoundError: ``place`` can only be a folder, and there is none.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        return folder
    if not _REPOSITORY.fullmatch(place):
        raise InputNotFoundError(
            f"there is no folder '{place}'",
            "check the path; a repository at Hugging Face is called OWNER/NAME",
        )
    hub = library("huggingface_hub")
    found = hub.snapshot_download(
        place,
        allow_patterns=["*.json", "*.safetensors", "README.md"],
        local_files_only=is_offline(),
    )
    return Path(found)


def hub_model(place: str) -> tuple[Any, Path, Weights]:
    """A model of transformers, its folder and its weights; in a block of `loading`.

    Raises:
        MissingPackageError: transformers is not installed.
        ModelError: it has no weights in safetensors.
    """
    transformers = library("transformers")
    folder = hub_folder(place)
    weights = folder_weights(f"hf:{place}", folder)
    net = transformers.AutoModel.from_pretrained(
        folder, trust_remote_code=False, use_safetensors=True, local_files_only=True
    )
    return net, folder, weights


def folder_weights(name: str, folder: Path) -> Weights:
    """The weights in a folder of Hugging Face's form.

    Raises:
        ModelError: there are none in safetensors.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(
            f"'{name}' has no weights in safetensors",
            "others can run any code when they are opened; save it by save_pretrained",
        )
    hashes = [file_sha256(path) for path in files]
    sha256 = hashes[0] if len(hashes) == 1 else fingerprint(hashes)
    return Weights(name, sha256, _licence(folder / "README.md"))


def _licence(card: Path) -> str:
    """What the head of a model's card says."""
    if card.is_file():
        with card.open(encoding="utf-8", errors="replace") as file:
            head = file.read(20_000)
        for line in head.splitlines()[1:]:
            if line.strip() == "---":
                break
            if line.startswith("license:"):
                return line.partition(":")[2].strip()[:80] or UNKNOWN_LICENCE
    return UNKNOWN_LICENCE
