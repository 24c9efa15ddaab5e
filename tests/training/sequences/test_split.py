"""What each stage of leave-one-out is given."""

from __future__ import annotations

from shopfuse.training.sequences.split import leave_one_out
from tests.training.sequences.histories import histories, sequences


def test_each_stage_sees_what_came_before_its_target() -> None:
    split = leave_one_out(sequences([[0, 1, 2, 3], [3, 0, 1]], items=4))

    assert split.train.padded(4, 4).tolist() == [[0, 1, 4, 4], [3, 4, 4, 4]]
    assert split.validation.targets.tolist() == [2, 0]
    assert split.test.inputs.padded(4, 4).tolist() == [[0, 1, 2, 4], [3, 0, 4, 4]]
    assert split.test.targets.tolist() == [3, 1]
    assert split.train_counts.tolist() == [1, 1, 0, 1]


def test_a_target_that_its_user_already_had_is_unreachable() -> None:
    split = leave_one_out(sequences([[0, 1, 2, 0], [0, 1, 2], [1, 2, 2]], items=3))

    assert split.test.unreachable.tolist() == [True, False, True]


def test_a_long_history_is_cut_at_its_old_end() -> None:
    whole = histories([[0, 1, 2, 3, 4], [5]])

    assert whole.padded(3, 9).tolist() == [[2, 3, 4], [5, 9, 9]]
    users, items, ages = whole.newest(2).flat()
    assert (users.tolist(), items.tolist(), ages.tolist()) == ([0, 0, 1], [3, 4, 5], [1, 0, 0])
