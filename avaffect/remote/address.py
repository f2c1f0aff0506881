"""An address in an object store, and the one way in which a store is asked.

The stores are fsspec's, by the scheme of an address: ``s3://bucket/key``. Credentials are found as
the store's own tools find them (environment, profile, role of the machine), and never kept.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from avaffect.errors import (
    AvaffectError,
    InputNotFoundError,
    RemoteError,
    UsageError,
    explained,
    need,
)
from avaffect.media.local import without_secrets

T = TypeVar("T")
TRIES = 4
PAUSE = 0.5  # seconds before the second try, doubled before each later one
AT_ONCE = 8
"""Requests under way at once, where there are many small objects."""
# Where an object is there whole or not at all; elsewhere it is renamed when it is whole.
WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"})
# Not http: whoever means a page of the web is told to download it.
SCHEMES = WHOLE | {"hdfs", "webhdfs", "smb", "sftp", "ssh", "file"}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://.")
# Of s3fs: ten parts of 50 MB would be in memory together.
_OPTIONS: dict[str, dict[str, Any]] = {"s3": {"max_concurrency": 2}, "s3a": {"max_concurrency": 2}}
_CREDENTIALS = ("Credential", "Profile", "TokenRetrieval", "SSO", "RefreshError")
_LIBRARIES = ("botocore", "aiobotocore", "aiohttp", "asyncio", "fsspec", "s3fs", "gcsfs")


def is_remote(text: str) -> bool:
    """Whether ``text`` is an address in a store, and no file that is here."""
    found = _SCHEME.match(text)
    if found is None or os.path.lexists(text):
        return False
    # Stores that a program has added to fsspec count too.
    known = getattr(sys.modules.get("fsspec.registry"), "registry", {})
    return found[1] in SCHEMES or (found[1] in known and not found[1].startswith("http"))


@dataclass(frozen=True)
class Address:
    """A file or folder in an object store.

    Attributes:
        text: with its scheme and without a slash at its end, such as ``s3://bucket/videos``.
    """

    text: str

    @classmethod
    def of(cls, text: str) -> Address:
        """The address that a user gave.

        Raises:
            UsageError: it is none, or leads upwards.
            MissingPackageError: what reads such a store is not installed.
        """
        need("remote", "fsspec")
        address = cls(text if text.endswith("://") else text.rstrip("/"))
        if not is_remote(address.text) or ".." in address.text.split("/"):
            raise UsageError(f"'{address}' is no address in a store", "give s3://BUCKET/NAME")
        _ = address.store
        return address

    def __str__(self) -> str:
        """The address as it is shown and recorded: without secrets."""
        return without_secrets(self.text)

    @property
    def scheme(self) -> str:
        """``s3``, ``gs``, ``file`` ..."""
        return self.text.partition("://")[0]

    @property
    def name(self) -> str:
        """Its last part."""
        return self.path.rstrip("/").rpartition("/")[2]

    @cached_property
    def store(self) -> Any:
        """The store, of fsspec; what it lists is not remembered."""
        import fsspec  # type: ignore[import-untyped]

        if self.scheme in ("s3", "s3a"):
            need("remote", "s3fs")
        try:
            return fsspec.filesystem(
                self.scheme, use_listings_cache=False, **_OPTIONS.get(self.scheme, {})
            )
        except ImportError as error:
            raise AvaffectError(
                f"'{self.scheme}://' needs a package that is not installed "
                f"({without_secrets(str(error))})",
                "install it with pip",
            ) from error

    @property
    def path(self) -> str:
        """As the store names it."""
        return str(self.store._strip_protocol(self.text))

    def child(self, name: str) -> Address:
        """What is called ``name``, with ``/``, below this."""
        return Address(f"{self.text}/{name}")

    def ask(self, question: Callable[[], T]) -> T:
        """What the store answers; asked again, with pauses, where a failure may pass.

        Args:
            question: asks, and may be called several times.

        Raises:
            InputNotFoundError: there is no such thing.
            RemoteError: it may not be read or written, or nothing comes after several tries.
        """
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                return question()
            except AvaffectError:
                raise
            except Exception as error:
                if not isinstance(error, OSError) and not _of_library(error):
                    raise
                self._refused(error)
                last = error
        reason = without_secrets(str(last)) or type(last).__name__
        raise RemoteError(
            f"'{self}' failed {TRIES} times, at last with: {reason[:300]}",
            "run the same command again later; what was finished is kept",
        ) from last

    def info(self) -> dict[str, Any] | None:
        """What the store says of it; None if it is not there."""
        try:
            found: dict[str, Any] = self.ask(lambda: self.store.info(self.path))
        except InputNotFoundError:
            return None
        return found

    def _refused(self, error: Exception) -> None:
        """Raise what no further try would change."""
        if isinstance(error, FileNotFoundError):
            raise InputNotFoundError(f"there is no '{self}'", "check the address") from error
        if isinstance(error, PermissionError):
            raise RemoteError(
                f"'{self}' may not be read or written",
                "check the credentials and what they are allowed to do",
            ) from error
        if any(word in type(error).__name__ for word in _CREDENTIALS):
            raise RemoteError(
                f"there are no credentials for '{self}' that work",
                "set them as the store's own tools want them: environment, profile or role",
            ) from error
        full = explained(error)
        if full is not None and type(full).__name__ == "DiskFullError":
            raise full from error


def together(work: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
    """``work`` of each item, `AT_ONCE` at once, in their order; the first error ends it."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)


def _of_library(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in _LIBRARIES
