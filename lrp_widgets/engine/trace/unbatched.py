"""An input without its batch dimension: torch's layers take one, and would have its channels taken for rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lrp_widgets.engine.trace.inputs import Inputs, floating
from lrp_widgets.engine.trace.recording_error import RecordingError
from lrp_widgets.engine.trace.step import flat_tensors

__all__ = ["with_batch"]

# What one input without a batch dimension looks like to each function that also takes a batch of them.
SIGNAL, PICTURE, VOLUME = (
    ("channels", "samples"),
    ("channels", "height", "width"),
    ("channels", "depth", "height", "width"),
)
LAYOUTS = {
    nn.functional.linear: ("features",),
    torch.conv1d: SIGNAL,
    torch.conv2d: PICTURE,
    torch.conv3d: VOLUME,
    torch.conv_transpose1d: SIGNAL,
    torch.conv_transpose2d: PICTURE,
    torch.conv_transpose3d: VOLUME,
}
RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)
MODULES = (nn.modules.conv._ConvNd, nn.Linear, nn.RNNBase)


@contextmanager
def with_batch(model: nn.Module, inputs: Inputs) -> Iterator[None]:
    """Raise RecordingError where a layer takes the whole of the input for one that has no batch dimension."""
    kinds = {_axes(module) for module in model.modules() if isinstance(module, MODULES)}
    few = [tensor for tensor in inputs.tensors if floating(tensor) and tensor.ndim in kinds]
    if not few or (_is_one_row(inputs) and _takes_two_rows(model, inputs)):
        yield
        return
    with _Layers(few):
        yield


def _axes(layer: nn.Module) -> int:
    """How many axes an input of this layer has without a batch dimension."""
    return 2 if isinstance(layer, nn.RNNBase) else 1 + len(getattr(layer, "kernel_size", ()))


def _is_one_row(inputs: Inputs) -> bool:
    return all(tensor.ndim and len(tensor) == 1 for tensor in inputs.tensors)


def _takes_two_rows(model: nn.Module, inputs: Inputs) -> bool:
    """Whether the first axis is that of a batch: two of them are taken too, each answered as by itself.

    A model may cut single pictures out of a batch itself. With a batch of one they look like the batch.
    """
    pair = [torch.cat((tensor, tensor)) for tensor in inputs.tensors]
    try:
        with torch.no_grad():
            answers = flat_tensors(inputs.call(model, pair))
    except Exception:
        return False
    return all(
        answer.ndim and len(answer) == 2 and torch.allclose(answer[0], answer[1], equal_nan=True) for answer in answers
    )


def _alone() -> bool:
    """Whether the recurrent layer that runs was called on one sequence, which it has made a batch of one by now."""
    frame: Any = sys._getframe(2)
    while frame is not None and not isinstance(frame.f_locals.get("self"), nn.RNNBase):
        frame = frame.f_back
    return frame is not None and frame.f_locals.get("is_batched") is False


class _Layers(TorchFunctionMode):
    """Looks at what convolutions and linear maps get. What a model cuts out of a batch itself is its own business."""

    def __init__(self, few: list[Tensor]) -> None:
        super().__init__()
        self.few = few  # tensors of the input with as many axes as one input without a batch dimension has

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        layout, got = LAYOUTS.get(func, ()), args[0] if args else kwargs.get("input")
        if func in RECURRENT and _alone():
            layout, got = ("time", "features"), got.flatten(0, 1)
        for x in self.few:
            if isinstance(got, Tensor) and got.ndim == x.ndim == len(layout) and len(got) == len(x):
                raise RecordingError(
                    f"The input must have a batch dimension, (n, {', '.join(layout)}), got shape {tuple(x.shape)}. "
                    "Take x[None] for a batch of one."
                )
        return func(*args, **kwargs)
