"""What the kinds of tasks say of values, labels, text and outputs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avaffect.errors import UnknownNameError, UsageError
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import AU, EXPR, TASKS, VA, task_named

SHARE = Values(name="share", title="share", targets=("share",), folder="Share", low=0.0, high=1.0)


def test_the_challenges_tasks_in_order() -> None:
    assert list(TASKS) == ["va", "expr", "au"]
    assert task_named("au") is AU
    with pytest.raises(UnknownNameError, match="no task is called 'vq'"):
        task_named("vq")


@pytest.mark.parametrize(
    ("task", "rows", "text"),
    [
        (VA, np.array([[0.5, -0.00001], [-5, -5]]), ["0.5000,0.0000", "-5,-5"]),
        (EXPR, np.array([7, -1]), ["7", "-1"]),
        (AU, np.array([[1] * 12, [-1] * 12]), [",".join(["1"] * 12), ",".join(["-1"] * 12)]),
        (SHARE, np.array([[0.25], [-5]]), ["0.2500", "-5"]),
    ],
)
def test_text_and_back(task, rows, text) -> None:
    assert task.text(rows) == text
    width = len(task.targets)
    back = np.array([task.parse(row.split(","), width) for row in text])
    np.testing.assert_allclose(back.reshape(rows.shape), rows, atol=5e-5)


@pytest.mark.parametrize(
    ("task", "fields", "wrong"),
    [
        (VA, ["0.5"], "1 values where valence and arousal are expected"),
        (VA, ["0.5", "1.5"], r"1.5 lies outside \[-1, 1\] and is not -5"),
        (SHARE, ["-0.1"], r"-0.1 lies outside \[0, 1\]"),
        (EXPR, ["8"], "8 is no class from 0 to 7"),
        (EXPR, ["1", "2"], "2 values where one class is expected"),
        (EXPR, ["a"], "'a' is no whole number"),
        (AU, ["2"] * 12, "2 is none of 0, 1 and -1"),
        (AU, ["1"], "1 action units where 12 are expected"),
    ],
)
def test_a_row_that_does_not_fit(task, fields, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        task.parse(fields, len(task.targets))


def test_decisions() -> None:
    values = np.array([[0.2, 0.9], [np.nan, 0.5]], np.float32)
    assert AU.decide(values).tolist() == [[0, 1], [-1, 1]]
    assert AU.decide(values, [0.1, 0.95]).tolist() == [[1, 0], [-1, 0]]
    assert EXPR.decide(np.array([[0.2, 0.8], [np.nan] * 2])).tolist() == [1, -1]
    np.testing.assert_array_equal(VA.decide(values), values)


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=5))
def test_a_head_stays_in_the_range_of_its_task(outputs) -> None:
    x = torch.tensor(outputs)
    assert torch.equal(VA.squash(x), torch.tanh(x))
    share = SHARE.squash(x)
    assert ((share >= 0) & (share <= 1)).all()
    assert torch.equal(AU.squash(x), x)


@pytest.mark.parametrize("task", [VA, EXPR, AU, SHARE], ids=lambda task: task.name)
def test_activation_and_back(task) -> None:
    x = torch.tensor([[0.1, -0.4, 0.3]])
    torch.testing.assert_close(task.activate(task.deactivate(task.activate(x))), task.activate(x))


def test_labels_that_leave_their_range() -> None:
    assert VA.fault(np.float32([[0.5, np.nan]])) == ""
    assert VA.fault(np.float32([[1.5, 0]])) == "leave [-1, 1]"
    assert SHARE.fault(np.float32([[-0.5]])) == "leave [0, 1]"
    assert AU.fault(np.int8([[2]])) == "are not 0, 1 or -1"
