"""Functions whose arguments are written down elsewhere: they show them, take them and hand them on."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.evaluation import (
    Flipping,
    randomization,
    stream_axioms,
    stream_continuity,
    stream_flipping,
    stream_randomization,
)
from lrp_widgets.evaluation.signatures import result_of


@pytest.mark.parametrize("function", [lw.pixel_flipping, stream_flipping])
def test_pixel_flipping_shows_the_fields_of_its_setting(function: Any) -> None:
    parameters = inspect.signature(function).parameters
    assert list(parameters)[:4] == ["model", "x", "heatmap", "target"] and parameters["target"].default is None
    fields = {field.name: field.default for field in dataclasses.fields(Flipping)}
    assert {name: known.default for name, known in parameters.items() if name in fields} == fields
    assert list(parameters)[4:] == list(fields)
    assert {parameters[name].kind for name in fields} == {inspect.Parameter.KEYWORD_ONLY}
    assert inspect.getdoc(function) and function.__name__ in ("pixel_flipping", "stream_flipping")


@pytest.mark.parametrize(
    ("function", "stream"),
    [(lw.continuity, stream_continuity), (lw.axioms, stream_axioms), (randomization, stream_randomization)],
)
def test_a_result_shows_the_arguments_of_its_stream(function: Any, stream: Any) -> None:
    own, other = inspect.signature(function), inspect.signature(stream)
    assert own.parameters == other.parameters
    assert "steps" not in own.parameters and "Iterator" not in str(own.return_annotation)
    assert stream.__name__ == f"stream_{function.__name__}" and inspect.getdoc(function) != inspect.getdoc(stream)


def test_arguments_reach_the_stream() -> None:
    def count(start: int, stop: int = 3) -> Iterator[int]:
        yield from range(start, stop)

    @result_of(count)
    def total(steps: Iterator[int]) -> int:
        return sum(steps)

    assert (total(1), total(1, 5), total(start=2, stop=4)) == (3, 10, 5)


def test_a_field_that_is_none_is_refused() -> None:
    model, x = nn.Sequential(nn.Linear(4, 2)).eval(), torch.ones(1, 4)
    with pytest.raises(TypeError, match="unexpected keyword argument 'pach'"):
        lw.pixel_flipping(model, x, np.ones(4), pach=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        lw.pixel_flipping(model, x, np.ones(4), 0, 2)  # type: ignore[misc] - the fields are keywords


def test_a_setting_checks_itself_and_cannot_be_changed() -> None:
    setting = Flipping(patch=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setting.patch = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match=r"^order must be one of 'most', 'least', 'random', got 'first'"):
        dataclasses.replace(setting, order="first")
    with pytest.raises(ValueError, match=r"^removal must be one of"):
        Flipping(removal="white")
