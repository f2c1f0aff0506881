"""What `predict` gives: the predictions for one video, and ways to look at them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avaffect.challenge.text import subject_file_name
from avaffect.errors import UnknownNameError, need
from avaffect.files.csv_text import write_csv_blocks
from avaffect.files.names import REPORT, TABLES
from avaffect.files.table import write_table
from avaffect.files.temporaries import temporary_folder
from avaffect.predictions.curve import curve_html
from avaffect.predictions.missing import DEFAULT_POLICY, fill
from avaffect.predictions.prediction import Prediction

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

# Of more subjects a notebook shows the first.
MOST_SHOWN = 8


@dataclass(frozen=True, repr=False)
class Figure:
    """A picture that a notebook shows.

    Attributes:
        png: the file's content.
    """

    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"Figure({len(self.png)} bytes of PNG)"


@dataclass(frozen=True, repr=False)
class Result:
    """The predictions for one video.

    Attributes:
        source: the video or folder.
        predictions: one a subject, in the order of their names' making (left before right). Rows
            in which nothing was seen or heard are empty.
        notes: what a reader of the predictions must know.
        about: provenance: video, configuration, models, library versions, damage.
        found: frames with a face, of the subject seen most often; 0 if nobody was seen.
        valued: frames with a value of their own, from face or voice, of the subject with most.
        missing: the policy by which the challenge's text files fill empty rows.
    """

    source: Path
    predictions: tuple[Prediction, ...]
    notes: tuple[str, ...]
    about: dict[str, object]
    found: int
    valued: int
    missing: str = DEFAULT_POLICY

    @property
    def rotate(self) -> int | None:
        """The ``MediaConfig.rotate`` by which faces would be upright; None if they are."""
        rotate = self.about.get("rotate")
        return rotate if isinstance(rotate, int) else None

    @property
    def frames(self) -> int:
        """Decoded frames; every prediction has as many rows."""
        return len(self.predictions[0])

    @property
    def times(self) -> NDArray[np.float64]:
        """float64 [frames], seconds, as the tables have them; see ``PredictConfig.clock``."""
        return self.predictions[0].times + self.predictions[0].start

    @property
    def faces(self) -> tuple[int, ...]:
        """Of each subject the number of frames with a face."""
        return tuple(int(prediction.present.sum()) for prediction in self.predictions)

    @property
    def written(self) -> tuple[Prediction, ...]:
        """The predictions as the challenge's text files hold them: filled."""
        return tuple(fill(prediction, self.missing) for prediction in self.predictions)

    def __getitem__(self, subject: str) -> Prediction:
        """The prediction of the subject of this name."""
        for prediction in self.predictions:
            if prediction.subject == subject:
                return prediction
        raise UnknownNameError("subject", subject, self.subjects)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __repr__(self) -> str:
        return (
            f"Result({str(self.source)!r}, {self.frames} frames, {self.found} with a face, "
            f"subjects {', '.join(self.subjects)})"
        )

    def __len__(self) -> int:
        """The number of subjects."""
        return len(self.predictions)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects' names."""
        return tuple(prediction.subject for prediction in self.predictions)

    def on(self, device: str) -> Result:
        """The same, with a note of the device that it was made on: rounding differs."""
        return replace(self, about={**self.about, "device": device})

    def to_csv(self, path: Path | str, decimal: str = "point") -> Path:
        """Write all subjects as one CSV file with a column ``subject``; others are replaced.

        Args:
            path: the file.
            decimal: ``point``, or ``comma`` for spreadsheets of many languages of Europe.

        Returns:
            ``path``.

        Raises:
            UnknownNameError: other decimals.
            OutputError: the file cannot be written.
        """
        import numpy as np

        blocks = (
            {"subject": np.full(len(each), each.subject, object), **each.columns()}
            for each in self.predictions
        )
        names = list(dict.fromkeys(name for each in self.predictions for name in each.columns()))
        write_csv_blocks(Path(path), ["subject", *names], blocks, decimal)
        return Path(path)

    def report(self, out: Path | str = REPORT, *, overwrite: bool = False, **options: Any) -> Path:
        """Write a page for the browser, as :func:`avaffect.report` does; the path of it.

        Args:
            out: the page.
            overwrite: replace one that was written before.
            options: others of :func:`avaffect.report`.
        """
        import avaffect

        if self.source.is_file():
            options = {"videos": [self.source], **options}
        with self._as_folder() as folder:
            avaffect.report(folder, out, overwrite=overwrite, **options)
        return Path(out)

    def plot(
        self, out: Path | str | None = None, *, overwrite: bool = False, **options: Any
    ) -> Figure:
        """Draw the predictions over time, as :func:`avaffect.plot` does.

        Args:
            out: the figure to write, ``.png``, ``.pdf`` or ``.svg``; None shows it in a notebook
                and writes nothing.
            overwrite: replace one that was written before.
            options: others of :func:`avaffect.plot`.

        Returns:
            what a notebook shows as a picture.
        """
        import avaffect

        with self._as_folder() as folder:
            if out is not None:
                avaffect.plot(folder, out, overwrite=overwrite, **options)
            shown = folder / "shown.png"
            avaffect.plot(folder, shown, **options)
            return Figure(shown.read_bytes())

    def _repr_html_(self) -> str:
        """What a notebook shows: a curve a subject."""
        rest = len(self.predictions) - MOST_SHOWN
        shown = "".join(curve_html(each) for each in self.predictions[:MOST_SHOWN])
        return shown + (f"<p>and {rest} more</p>" if rest > 0 else "")

    @contextmanager
    def _as_folder(self) -> Iterator[Path]:
        """The tables in a folder, as `predict` writes them, for the length of a block."""
        with temporary_folder(Path(tempfile.gettempdir()), "avaffect") as folder:
            for each in self.predictions:
                about: dict[str, Any] = {"subject": each.subject, **self.about}
                if each.au_thresholds is not None:
                    about["au_thresholds"] = each.au_thresholds.tolist()
                stem = subject_file_name(each.subject).removesuffix(".txt")
                path = folder / TABLES / f"{stem}.parquet"
                write_table(path, each.columns(), about)
            yield folder

    def to_frame(self) -> pd.DataFrame:
        """All subjects as one DataFrame with a column ``subject``, see ``Prediction.to_frame``."""
        need("pandas")
        import pandas as pd

        parts = [
            prediction.to_frame().assign(subject=prediction.subject)
            for prediction in self.predictions
        ]
        return pd.concat(parts, ignore_index=True)
