"""The three kinds of tasks: values in a range, classes of which one holds, units that are there.

=======  =================  ==========================  ===========================
kind     values [N, K]      labels of a clip            a row of a text file
=======  =================  ==========================  ===========================
Values   in [low, high]     float32 [N, K], NaN         K numbers, -5 for none
Classes  probabilities      int64 [N], -1               the class's number, -1
Units    scores in [0, 1]   int8 [N, K] of 0, 1 and -1  K times 0 or 1, -1 for none
=======  =================  ==========================  ===========================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from avaffect.errors import CheckpointError, UsageError
from avaffect.labels import AU_THRESHOLD
from avaffect.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Labels have three decimals; the fourth keeps the rounding error (5e-5) out of them.
DECIMALS = 4


@dataclass(frozen=True, kw_only=True)
class Values(Task):
    """Numbers in a range, such as valence and arousal.

    The range must not hold -5, which stands for no value in text files.
    """

    kind: ClassVar[str] = "values"
    measure: ClassVar[str] = "mean CCC"
    part: ClassVar[str] = "CCC"
    loss: ClassVar[str] = "ccc"
    invalid: ClassVar[int] = -5
    unknown: ClassVar[float] = float("nan")
    dtype: ClassVar[str] = "float32"
    row_dtype: ClassVar[str] = "float64"

    def value_column(self, target: str) -> str:
        return target

    def known(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        import numpy as np

        return ~np.isnan(labels)

    def fault(self, labels: NDArray[Any]) -> str:
        known = labels[self.known(labels)]
        inside = ((known >= self.low) & (known <= self.high)).all()
        return "" if inside else f"leave {self._range}"

    def decide(self, values: NDArray[Any], limits: Any = None) -> NDArray[Any]:
        return values

    def certain(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        return _unless_invalid(rows, self.invalid)

    def from_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        """A frame is unknown where any of its values is invalid."""
        import numpy as np

        gone = (rows == self.invalid).any(axis=1, keepdims=True)
        return np.where(gone, np.nan, rows).astype(self.dtype)

    def to_rows(self, labels: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        rows = np.clip(labels.astype(np.float64), self.low, self.high)
        rows[np.isnan(rows)] = self.invalid
        return rows

    def text(self, rows: NDArray[Any]) -> list[str]:
        import numpy as np

        # Adding zero turns -0.0 into 0.0.
        rounded = (np.round(rows, DECIMALS) + 0.0).tolist()
        return [",".join([self._number(value) for value in row]) for row in rounded]

    def parse(self, fields: Sequence[str], width: int) -> list[float]:
        _require_count(self, fields, width)
        values = [_float(text) for text in fields]
        for value in values:
            if not (self.low <= value <= self.high or value == self.invalid):
                raise UsageError(f"{value:g} lies outside {self._range} and is not {self.invalid}")
        return values

    def whole(self, row: Sequence[float]) -> Sequence[float]:
        return [float(self.invalid)] * len(row) if self.invalid in row else row

    def miscounted(self, count: int, width: int) -> str:
        wanted = " and ".join(self.targets) if width == len(self.targets) else str(width)
        return f"{count} values where {wanted} are expected"

    def table(self, values: NDArray[Any], labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {name: values[:, at] for at, name in enumerate(self.targets)}

    def squash(self, outputs: Any) -> Any:
        bounded = outputs.tanh()
        if (self.low, self.high) == (-1, 1):
            return bounded
        return self.low + (self.high - self.low) * (bounded + 1) / 2

    def activate(self, outputs: Any) -> Any:
        return outputs

    def deactivate(self, values: Any) -> Any:
        return values

    @property
    def _range(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"

    def _number(self, value: float) -> str:
        return str(self.invalid) if value == self.invalid else f"{value:.{DECIMALS}f}"


@dataclass(frozen=True, kw_only=True)
class Classes(Task):
    """Classes of which each frame has one, such as expressions.

    Attributes:
        column: what the class is called in tables; empty for the task's name.
        prefix: what stands before a class in the column of its probability; empty for the
            column's name and ``_p_``.
        synonyms: by class, other words for it in data, in lower case.
    """

    column: str = ""
    prefix: str = ""
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    kind: ClassVar[str] = "classes"
    measure: ClassVar[str] = "macro F1"
    part: ClassVar[str] = "F1"
    loss: ClassVar[str] = "cross_entropy"
    dtype: ClassVar[str] = "int64"
    flat: ClassVar[bool] = True

    @property
    def heading(self) -> str:
        """The name of the column that has the class."""
        return self.column or self.name

    @property
    def _prefix(self) -> str:
        return self.prefix or f"{self.heading}_p_"

    def value_column(self, target: str) -> str:
        return f"{self._prefix}{target}"

    def targets_in(self, columns: Iterable[str]) -> list[str]:
        """All classes, also such as stand for ours, see ``synonyms``."""
        own = self._prefix
        return [name.removeprefix(own) for name in columns if name.startswith(own)]

    def takes(self, key: str) -> bool:
        return key == self.heading

    def fits(self, labels: NDArray[Any], width: int) -> bool:
        return bool(labels.max(initial=-1) < width)

    def fault(self, labels: NDArray[Any]) -> str:
        return ""

    def decide(self, values: NDArray[Any], limits: Any = None) -> NDArray[Any]:
        """The likeliest class, -1 where there is no value."""
        import numpy as np

        missing = np.isnan(values[:, 0])
        return np.where(missing, -1, np.where(missing[:, None], 0, values).argmax(axis=1))

    def certain(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        import numpy as np

        sure = np.eye(len(self.targets))[rows]
        sure[rows == self.invalid] = np.nan
        return sure

    def meanings(self, classes: Sequence[str]) -> NDArray[np.float32]:
        """A matrix [C, K] that sums probabilities of ``classes`` into those of ``targets``.

        Raises:
            CheckpointError: a class that means none of them.
        """
        import numpy as np

        meaning = {name.lower(): at for at, name in enumerate(self.targets)}
        for name, words in self.synonyms.items():
            meaning |= dict.fromkeys(words, self.targets.index(name))
        matrix = np.zeros((len(classes), len(self.targets)), np.float32)
        for at, name in enumerate(classes):
            if name.lower() not in meaning:
                raise CheckpointError(
                    f"the model's class '{name}' is none of the classes of '{self.name}'",
                    f"train with classes that are: {', '.join(self.targets)}",
                )
            matrix[at, meaning[name.lower()]] = 1
        return matrix

    def coded(self, targets: Sequence[str], values: NDArray[Any]) -> NDArray[np.float32]:
        summed: NDArray[np.float32] = values @ self.meanings(targets)
        return summed / summed.sum(axis=1, keepdims=True)

    def text(self, rows: NDArray[Any]) -> list[str]:
        return [str(value) for value in rows.tolist()]

    def parse(self, fields: Sequence[str], width: int) -> list[float]:
        _require_count(self, fields, width)
        value = _whole(fields[0])
        if not -1 <= value < width:
            raise UsageError(f"{value} is no class from 0 to {width - 1}")
        return [value]

    def miscounted(self, count: int, width: int) -> str:
        return f"{count} values where one class is expected"

    def table(self, values: NDArray[Any], labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
        import numpy as np

        # The last name stands for the class -1.
        names = np.array([*self.targets, None], dtype=object)
        chances = {self.value_column(name): values[:, at] for at, name in enumerate(self.targets)}
        return {self.heading: names[labels], **chances}

    def label_table(self, labels: NDArray[Any], targets: Sequence[str]) -> dict[str, NDArray[Any]]:
        return {f"label_{self.heading}": labels}

    def labels_in(
        self, columns: Mapping[str, NDArray[Any]], targets: Sequence[str]
    ) -> NDArray[Any] | None:
        return columns.get(f"label_{self.heading}")

    def activate(self, outputs: Any) -> Any:
        return outputs.softmax(-1)

    def deactivate(self, values: Any) -> Any:
        return values.clamp(min=1e-7).log()


@dataclass(frozen=True, kw_only=True)
class Units(Task):
    """Units that are present or not, each for itself, such as action units.

    Attributes:
        pattern: a regular expression of what further units may be called in people's own data.
    """

    pattern: str = ""

    kind: ClassVar[str] = "units"
    measure: ClassVar[str] = "mean F1"
    part: ClassVar[str] = "F1"
    loss: ClassVar[str] = "bce"
    dtype: ClassVar[str] = "int8"
    apart: ClassVar[bool] = True

    def value_column(self, target: str) -> str:
        """The bare name of a unit is its decision."""
        return f"{target}_p"

    def takes(self, key: str) -> bool:
        return key in self.targets or bool(self.pattern and re.fullmatch(self.pattern, key))

    def fault(self, labels: NDArray[Any]) -> str:
        import numpy as np

        return "" if np.isin(labels, (-1, 0, 1)).all() else "are not 0, 1 or -1"

    def decide(self, values: NDArray[Any], limits: Any = None) -> NDArray[Any]:
        """1 from the limit on, .5 without one, else 0; -1 where there is no value."""
        import numpy as np

        limit = AU_THRESHOLD if limits is None else np.asarray(limits)
        return np.where(np.isnan(values), -1, (values >= limit).astype(np.int64))

    def certain(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        return _unless_invalid(rows, self.invalid)

    def text(self, rows: NDArray[Any]) -> list[str]:
        return [",".join(map(str, row)) for row in rows.tolist()]

    def parse(self, fields: Sequence[str], width: int) -> list[float]:
        _require_count(self, fields, width)
        values = [_whole(text) for text in fields]
        for value in values:
            if value not in (-1, 0, 1):
                raise UsageError(f"{value} is none of 0, 1 and -1")
        return [*values]

    def miscounted(self, count: int, width: int) -> str:
        return f"{count} {self.title} where {width} are expected"

    def table(self, values: NDArray[Any], labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
        import numpy as np

        present = labels.astype(np.float32)
        present[labels < 0] = np.nan
        columns = {name: present[:, at] for at, name in enumerate(self.targets)}
        for at, name in enumerate(self.targets):
            columns[self.value_column(name)] = values[:, at]
        return columns

    def activate(self, outputs: Any) -> Any:
        return outputs.sigmoid()

    def deactivate(self, values: Any) -> Any:
        return values.logit(eps=1e-7)


def _unless_invalid(rows: NDArray[Any], invalid: int) -> NDArray[np.float64]:
    import numpy as np

    return np.where(rows == invalid, np.nan, rows)


def _require_count(task: Task, fields: Sequence[str], width: int) -> None:
    if len(fields) != task.columns(width):
        raise UsageError(task.miscounted(len(fields), width))


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"'{text[:40]}' is no number") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"'{text[:40]}' is no whole number") from None
