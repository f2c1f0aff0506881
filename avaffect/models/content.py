"""The content of weights, as it was checked: what was hashed is what is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from avaffect.errors import ModelDamagedError
from avaffect.models import cache, fetch
from avaffect.models.zoo import find_model
from avaffect.progress import EventCallback, ignore_events


@dataclass(frozen=True, slots=True)
class Content:
    """A checked file in memory.

    Attributes:
        path: where it was read, for messages; it is not opened again.
        data: all of it.
    """

    path: Path
    data: bytes = field(repr=False)

    def open(self) -> BytesIO:
        """It as an open file, for libraries that read one."""
        return BytesIO(self.data)


def model_content(
    name: str, *, offline: bool | None = None, on_event: EventCallback = ignore_events
) -> Content:
    """The checked content of a model's weights, fetched first if they are not in the cache.

    Args:
        name, offline, on_event: as for ``fetch.model_path``.

    Raises:
        UnknownNameError, ModelUnavailableError, ModelDamagedError, OutputError: as
            ``fetch.model_path``.
    """
    model = find_model(name)
    path = cache.place(model)
    try:
        data, digest = cache.read(model, path)
    except (FileNotFoundError, NotADirectoryError, ModelDamagedError):
        path = fetch.model_path(name, offline=offline, on_event=on_event)
        try:
            data, digest = cache.read(model, path)
        except (OSError, ModelDamagedError) as error:
            raise ModelDamagedError(
                f"the weights of model '{name}' in '{path}' change while they are read "
                f"({getattr(error, 'problem', error)})",
                "look who writes there, or set AVAFFECT_CACHE to a folder of your own",
            ) from error
    cache.pin(model, digest, on_event)
    return Content(path, data)
