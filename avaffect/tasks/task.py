"""A task: what is predicted of each frame, in every form that it takes on its way.

A task's values (float [N, K], what a model predicts) become labels (what is decided), which are
coded in two ways: as a `datasets.clip.Clip` holds them, and as the rows of the text files do.

Everything that depends on the task is asked of its object. The three kinds of tasks are in
`tasks.kinds`, all tasks in `tasks.registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """One task.

    Attributes:
        name: its key everywhere, e.g. ``va``: letters, digits and ``_``.
        title: what people call it, e.g. ``valence/arousal``.
        targets: names of what is predicted, unless data has others: the dimensions, classes or
            units.
        folder: of its text files, where an edition of the challenge names none.
        spelled: for a name that others give a column, ours, or None; it replaces the look at
            ``targets`` in `target_named`.
        low, high: range of the predicted values.
        kind: ``values``, ``classes`` or ``units``, see `tasks.kinds`.
        measure: what its score is called, e.g. ``mean CCC``.
        part: what the part of one target is called, e.g. ``CCC``.
        loss: the term (``training.losses``) that it is trained with where no recipe names one.
        invalid: stands in text files where there is no label.
        unknown: stands in a clip's labels where there is none.
        dtype: of a clip's labels.
        row_dtype: of labels as text files have them.
        flat: whether there is one label a frame (the class), not one a target.
        apart: whether targets may be missing each alone, not only all together.
    """

    name: str
    title: str
    targets: tuple[str, ...]
    folder: str
    spelled: Callable[[str], str | None] | None = None
    low: float = 0.0
    high: float = 1.0

    kind: ClassVar[str]
    measure: ClassVar[str]
    part: ClassVar[str]
    loss: ClassVar[str]
    invalid: ClassVar[int] = -1
    unknown: ClassVar[float] = -1
    dtype: ClassVar[str]
    row_dtype: ClassVar[str] = "int64"
    flat: ClassVar[bool] = False
    apart: ClassVar[bool] = False

    # Names

    def target_named(self, text: str) -> str | None:
        """Which target a column of this name holds; None for a name that is not known."""
        plain = text.strip().strip("\"'").lower()
        if self.spelled is not None:
            return self.spelled(plain)
        return {name.lower(): name for name in self.targets}.get(plain)

    @abstractmethod
    def value_column(self, target: str) -> str:
        """The column of a table with the values of a target."""

    def takes(self, key: str) -> bool:
        """Whether ``key`` may stand for a label in a column map."""
        return key in self.targets

    # Labels as a clip holds them

    def shape(self, frames: int, width: int) -> tuple[int, ...]:
        """Shape of the labels of so many frames and targets."""
        return (frames,) if self.flat else (frames, width)

    def no_labels(self, frames: int, width: int) -> NDArray[Any]:
        """Labels of so many frames that are all unknown."""
        import numpy as np

        return np.full(self.shape(frames, width), self.unknown, self.dtype)

    def known(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        """bool of the labels' shape, where there is one."""
        known: NDArray[np.bool_] = labels != self.unknown
        return known

    def fits(self, labels: NDArray[Any], width: int) -> bool:
        """Whether labels of the right type can be of so many targets."""
        return bool(labels.shape[1] == width)

    @abstractmethod
    def fault(self, labels: NDArray[Any]) -> str:
        """What is wrong with the values of labels, e.g. ``leave [-1, 1]``; empty if nothing is."""

    # Values and labels

    @abstractmethod
    def decide(self, values: NDArray[Any], limits: Any = None) -> NDArray[Any]:
        """The labels that values come to.

        Args:
            values: float [N, K], NaN where there is none.
            limits: of units, the value from which on each is present: one number, or [K].

        Returns:
            as a clip holds them: float [N, K] as they were; int64 [N]; int64 [N, K].
        """

    @abstractmethod
    def certain(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """The values that are sure of labels coded as in text files: float64 [N, K]."""

    def coded(self, targets: Sequence[str], values: NDArray[Any]) -> NDArray[np.float32]:
        """Values of some targets in the columns of ``self.targets``; the others are NaN.

        Args:
            targets: names of what the columns are; those that are none of ``self.targets`` are
                left out.
            values: float [N, K].

        Raises:
            CheckpointError: a class that means none of ours.
        """
        import numpy as np

        out = np.full((len(values), len(self.targets)), np.nan, np.float32)
        for at, name in enumerate(targets):
            if name in self.targets:
                out[:, self.targets.index(name)] = values[:, at]
        return out

    # Labels as text files have them

    def columns(self, width: int) -> int:
        """How many values a row has for so many targets."""
        return 1 if self.flat else width

    def from_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Labels as a clip holds them, of labels as text files have them."""
        return rows.astype(self.dtype)

    def to_rows(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Labels as text files have them, of what `decide` gives."""
        return labels

    @abstractmethod
    def text(self, rows: NDArray[Any]) -> list[str]:
        """The text of each row, without the line's end."""

    @abstractmethod
    def parse(self, fields: Sequence[str], width: int) -> list[float]:
        """The values of a row for so many targets.

        Raises:
            UsageError: a number too many or too few, or out of range.
        """

    def whole(self, row: Sequence[float]) -> Sequence[float]:
        """What `parse` gives, all invalid where one value is and they only count together."""
        return row

    @abstractmethod
    def miscounted(self, count: int, width: int) -> str:
        """What is wrong with a row that has ``count`` values."""

    # Tables

    @abstractmethod
    def table(self, values: NDArray[Any], labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The columns of a table of predictions.

        Args:
            values: float32 [N, K] of ``targets``.
            labels: what they come to, see `decide`.
        """

    def label_table(self, labels: NDArray[Any], targets: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The columns of a table of validation clips, of labels as a clip holds them."""
        return {f"label_{name}": labels[:, at] for at, name in enumerate(targets)}

    def labels_in(
        self, columns: Mapping[str, NDArray[Any]], targets: Sequence[str]
    ) -> NDArray[Any] | None:
        """The inverse of `label_table`; None without labels."""
        import numpy as np

        if f"label_{targets[0]}" not in columns:
            return None
        return np.stack([columns[f"label_{name}"] for name in targets], axis=1)

    def targets_in(self, columns: Iterable[str]) -> list[str]:
        """The targets that a table has values of."""
        return [name for name in self.targets if self.value_column(name) in {*columns}]

    # A network's outputs; tensors of torch

    def squash(self, outputs: Any) -> Any:
        """What a head gives, of its last layer: values in their range, or logits as they are."""
        return outputs

    @abstractmethod
    def activate(self, outputs: Any) -> Any:
        """Values or probabilities, of what a head gives [..., K]."""

    @abstractmethod
    def deactivate(self, values: Any) -> Any:
        """The inverse of `activate`."""
