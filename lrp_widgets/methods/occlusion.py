"""Occlusion: what f loses where a patch of the input is covered."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.trace.inputs import Inputs, check_input, floating, inputs_of
from lrp_widgets.methods.copies import score_of
from lrp_widgets.methods.lookups import token_tables
from lrp_widgets.methods.question import Question, ask, check_token
from lrp_widgets.modalities import Modality, checked_modality, named
from lrp_widgets.params import MOST, choice, param, params_of
from lrp_widgets.wording import brief

__all__ = ["Occlusion"]

Window = tuple[slice, ...]


@dataclass(frozen=True)
class Occlusion(Method):
    """R_i = mean over the patches p ∋ i of f(x) − f(x without p): in units of f, the same for all channels of a pixel.

    patch, stride: in pixels; 0 takes a seventh of the picture (of a row of features, a 49th) and half a patch.
    value: what a covered pixel becomes: "zero", "mean" (each channel's, over the picture) or a number.
    token: what a covered token becomes (padding, a mask); `value` as a number where None; notes name it.
    modality: what an input is, one of modalities.MODALITIES by name or value; guessed from its shape where None.
    Of an input of several tensors, one after the other is covered. What is neither floating point nor looked up by an
    embedding stays as it is, and has relevance 0.
    """

    title: ClassVar[str] = "Occlusion"
    equation: ClassVar[str] = "R_i = mean over the patches p ∋ i of f(x) − f(x without p)"
    reference: ClassVar[str] = "Zeiler & Fergus 2014, section 4.2"

    patch: int = param(
        0, low=0, most=4096, slider=(0, 32), unit="px", help="Side of the patch that is covered; 0: a seventh."
    )
    stride: int = param(
        0, low=0, most=4096, slider=(0, 32), unit="px", help="From one patch to the next; 0: half a patch."
    )
    value: str | float = choice(
        "zero", ("zero", "mean"), symbol="covered by", help="What covered pixels become: 0, or the picture's mean."
    )
    token: int | None = None
    modality: Modality | str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        value = self.value
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if isinstance(value, int | float) and number and abs(value) > MOST:
            raise ValueError(
                f"{type(self).__name__}.value must lie between {-MOST:g} and {MOST:g}, got {brief(value)}."
            )
        if not number and value not in ("zero", "mean"):
            raise ValueError(
                f"{type(self).__name__}.value must be 'zero', 'mean' or a finite number, got {brief(value)}."
            )
        for each in params_of(self):
            each.check(type(self).__name__, "zero" if each.name == "value" else getattr(self, each.name))
        check_token(self)
        if self.modality is not None:
            named(self.modality, f"{type(self).__name__}.modality")

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """One forward pass for each patch, many of them in a batch. x: whatever the model takes."""
        inputs = inputs_of(x)
        tables = token_tables(explainer, inputs)
        if not isinstance(inputs.form, Tensor) and self.modality is not None:
            raise ValueError(
                f"{type(self).__name__}.modality is that of one tensor, and the input has several. Leave it out."
            )
        if isinstance(inputs.form, Tensor) and not tables:
            check_input(inputs.form)
        question = ask(explainer, inputs, target)
        relevance, notes = [], dict[str, None]()
        for number, tensor in enumerate(inputs.tensors):
            covering = self._covering_of(number, tensor, inputs, tables, notes)
            if covering is None:
                dtype = tensor.dtype if floating(tensor) else question.scores.dtype
                relevance.append(torch.zeros_like(tensor, dtype=dtype))
            else:
                relevance.append(self._lost(explainer, question, number, covering, notes, abandoned))
        return question.explanation(self, *relevance, notes=tuple(notes))

    def _lost(
        self,
        explainer: Explainer,
        question: Question,
        number: int,
        covering: Tensor,
        notes: dict[str, None],
        abandoned: Callable[[], bool],
    ) -> Tensor:
        """What f loses by each element of one tensor of the input."""
        x = question.inputs.tensors[number].detach()
        modality = checked_modality(self.modality, x, type(self).__name__)
        picture = modality.with_channels(x)
        windows, whole = self._windows(list(picture.shape[2:]))
        copies = (modality.without_channels(_covered(picture, window, covering), x) for window in windows)
        f = question.f(question.scores)
        wide = torch.promote_types(f.dtype, torch.float32)
        lost = torch.zeros((len(x), 1, *picture.shape[2:]), dtype=wide, device=x.device)
        times = torch.zeros_like(lost[:1])
        for window, score in zip(windows, score_of(explainer, copies, question, abandoned, number), strict=True):
            lost[window] += (f.to(wide) - score.to(wide)).reshape(-1, *[1] * (lost.ndim - 1))
            times[window] += 1
        relevance = modality.without_channels((lost / times.clamp(min=1)).expand(picture.shape), x)
        if not whole:
            notes[f"pixels between the patches were never covered: {type(self).__name__}.stride"] = None
        return relevance.to(x.dtype if floating(x) else question.scores.dtype, copy=True)

    def _covering_of(
        self, number: int, x: Tensor, inputs: Inputs, tables: dict[int, int], notes: dict[str, None]
    ) -> Tensor | None:
        """What covers a tensor of the input; None where it stays as it is, and `notes` say why."""
        name = "" if isinstance(inputs.form, Tensor) else f" of tensor {number}"
        if number in tables:
            token = self._token()
            if token >= tables[number] and isinstance(inputs.form, Tensor):
                raise ValueError(
                    f"{type(self).__name__}.token must lie in [0, {tables[number] - 1}], the tokens that the model "
                    f"knows, got {token}."
                )
            if token >= tables[number]:
                notes[f"the tokens{name} stay as they are: there is no token {token} among them"] = None
                return None
            notes[f"tokens are covered by token {token}"] = None
            return x.new_tensor(token)
        if not floating(x):
            return None
        if len(x) != inputs.rows:
            notes[f"all{name} stays as it is: it has no batch dimension"] = None
            return None
        picture = checked_modality(self.modality, x, type(self).__name__).with_channels(x)
        return self._covering(picture)

    def _token(self) -> int:
        """What covers a token. Raises ValueError where `value` is none and there is no `token`."""
        value = 0 if self.value == "zero" else self.value
        if self.token is not None:
            return self.token
        if isinstance(value, str) or value != int(value) or value < 0:
            raise ValueError(
                f"{type(self).__name__} covers a token by another one, got value={value!r}. Say which one, for "
                "instance that of padding: token=0."
            )
        return int(value)

    def _windows(self, space: list[int]) -> tuple[list[Window], bool]:
        """Where the patches lie, the last ones as much of them as there is; and whether they leave nothing out."""
        auto = max(1, round(min(space) / 7)) if len(space) > 1 else max(1, space[0] // 49)
        sides = [min(self.patch or auto, size) for size in space]
        strides = [self.stride or max(1, side // 2) for side in sides]
        starts = [range(0, size - side + step, step) for size, side, step in zip(space, sides, strides, strict=True)]
        windows = [
            (slice(None), slice(None), *(slice(at, at + side) for at, side in zip(place, sides, strict=True)))
            for place in product(*starts)
        ]
        reached = all(step <= side or size == side for size, side, step in zip(space, sides, strides, strict=True))
        return windows, reached

    def _covering(self, picture: Tensor) -> Tensor:
        """What covered pixels become: one number, or one for each channel of each row."""
        if self.value == "mean":
            return picture.mean(tuple(range(2, picture.ndim)), keepdim=True)
        return picture.new_tensor(0.0 if isinstance(self.value, str) else self.value)


def _covered(picture: Tensor, window: Window, covering: Tensor) -> Tensor:
    covered = picture.clone()
    covered[window] = covering
    return covered
