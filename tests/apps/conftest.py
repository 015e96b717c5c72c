"""Apps as their tests open them: on the demo network and the digits, closed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from torch import Tensor, nn

import lrp_widgets as lw

PATIENCE = 120.0  # s: far longer than anything here takes


class Moody(nn.Module):
    """The demo network, which raises what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = lw.demo.models.digits_cnn()
        self.trouble: BaseException | None = None
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        if self.trouble:
            raise self.trouble
        return self.inner(x)


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture(scope="session")
def samples() -> lw.Samples:
    return lw.demo.data.digits()


@pytest.fixture(scope="session")
def few(samples) -> lw.Samples:
    return lw.Samples(samples.inputs[:12], samples.labels[:12], samples.classes)


@pytest.fixture
def opened() -> Iterator[Callable[..., Any]]:
    """Opens an app of a model on samples, waits until it has settled, and closes it in the end."""
    apps: list[Any] = []

    def app(opens: Callable[..., Any], usual: lw.Samples, model: nn.Module | None = None, inputs: Any = None) -> Any:
        apps.append(opens(model or lw.demo.models.digits_cnn(), usual if inputs is None else inputs))
        assert apps[-1].settled(PATIENCE)
        return apps[-1]

    yield app
    for each in apps:
        each.close()


@pytest.fixture
def explored(opened, samples) -> Callable[..., Any]:
    """Opens dashboards, by default of the demo network on the digits."""
    return partial(opened, lw.explore, samples)


@pytest.fixture
def assessed(opened, few) -> Callable[..., Any]:
    """Opens quality apps, by default of the demo network on a few digits."""
    return partial(opened, lw.quality, few)
