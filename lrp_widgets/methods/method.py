"""What every method is: a frozen setting that turns a model, an input and a target into an Explanation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from lrp_widgets.engine.explainer import Explainer
from lrp_widgets.engine.explanation import Explanation
from lrp_widgets.params import Setting

__all__ = ["Method", "never"]


def never() -> bool:
    """Nobody has abandoned this."""
    return False


@dataclass(frozen=True)
class Method(Setting):
    """An explanation method: its title, equation and reference, and `relevance`."""

    title: ClassVar[str] = ""
    equation: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """Relevance of every element of x (batch first) for the target; called by Explainer.explain."""
        raise NotImplementedError
