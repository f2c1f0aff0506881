"""ONNX files at half the size: large weights are kept as float16 and widened when loaded."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Smaller tensors (biases, shapes) are not worth a node.
LARGE = 1024


def with_half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with its float32 weights stored as float16, each followed by a Cast to float32.

    ONNX Runtime folds the casts when a session is made: speed and arithmetic are float32's.
    """
    graph, casts = model.graph, []
    for weight in list(graph.initializer):
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < LARGE:
            continue
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"the weights '{weight.name}' do not fit float16")
        stored = f"{weight.name}_half"
        graph.initializer.remove(weight)
        graph.initializer.append(numpy_helper.from_array(half, stored))
        casts.append(helper.make_node("Cast", [stored], [weight.name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    return model
