"""The known answer: what is asked, and that an empty or wrong one is noticed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper

from shopfuse.triton.errors import TritonStartError
from shopfuse.triton.startup_probe import MODEL, NUMBERS, check_probe


def test_the_probe_is_the_model_that_it_says() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "probe", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    assert model.SerializeToString() == MODEL


def _server_that_answers(contents: list[bytes]) -> SimpleNamespace:
    def ignore(request: object, timeout: float) -> None:
        return None

    def infer(request: object, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(raw_output_contents=contents)

    return SimpleNamespace(RepositoryModelLoad=ignore, ModelInfer=infer, RepositoryModelUnload=ignore)


def test_the_right_answer_passes() -> None:
    check_probe(_server_that_answers([(2 * NUMBERS).tobytes()]), timeout_s=1)


@pytest.mark.parametrize("contents", [[], [b""], [NUMBERS.tobytes()], [np.zeros(2, np.float32).tobytes()]])
def test_an_empty_or_wrong_answer_is_a_failed_start(contents: list[bytes]) -> None:
    with pytest.raises(TritonStartError, match="expected"):
        check_probe(_server_that_answers(contents), timeout_s=1)
