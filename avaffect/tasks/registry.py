"""All tasks, by name, in the order in which they are asked for, written and shown."""

from __future__ import annotations

from avaffect.errors import UnknownNameError
from avaffect.tasks.au import AU
from avaffect.tasks.expr import EXPR
from avaffect.tasks.kinds import Values
from avaffect.tasks.task import Task
from avaffect.tasks.va import VA

TASKS: dict[str, Task] = {task.name: task for task in (VA, EXPR, AU)}


def task_named(name: str) -> Task:
    """The task of this name.

    >>> task_named("va").targets
    ('valence', 'arousal')

    Raises:
        UnknownNameError: there is none.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name]


def is_dimension(score: str) -> bool:
    """Whether a score is that of one dimension of a task of values.

    >>> is_dimension("va CCC valence"), is_dimension("expr F1 Anger")
    (True, False)
    """
    name, _, part = score.partition(" ")
    return isinstance(TASKS.get(name), Values) and part.startswith(f"{Values.part} ")
