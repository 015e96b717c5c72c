"""Where the reset of a control goes: to the default of its parameter, wherever the control began."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lrp_widgets.params import Setting, choice, param, params_of, span, switch
from lrp_widgets.widgets.controls.control import Control


@dataclass(frozen=True)
class Moved(Setting):
    """A setting with defaults, of which everything is moved."""

    strength: float = param(0.5, low=0, high=2)
    mode: str = choice("quiet", ("quiet", "loud"))
    on: bool = switch(True)
    part: tuple[float, float] = span((0.25, 0.5), low=0, high=1)


MOVED = Moved(1.5, "loud", False, (0.5, 0.75))


@pytest.mark.parametrize("name", ["strength", "mode", "on", "part"])
def test_a_control_that_begins_elsewhere_goes_back_to_the_default(name):
    described = next(each for each in params_of(MOVED) if each.name == name)
    control = Control(described, getattr(MOVED, name), "Moved")
    assert (control.value, control.home) == (getattr(MOVED, name), getattr(Moved(), name))
    assert control.reset is not None
    control.reset.click()
    assert control.value == getattr(Moved(), name)
