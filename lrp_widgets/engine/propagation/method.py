"""What every method is: a frozen setting that turns a model, an input and a target into an Explanation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.params import Setting

__all__ = ["Method", "check_method", "never"]


def never() -> bool:
    """Nobody has abandoned this."""
    return False


@dataclass(frozen=True)
class Method(Setting):
    """An explanation method: its title, equation and reference, and `relevance`.

    explainer: the lw.Explainer that was asked. A method uses its `model`, `scores` and `tape`; this floor knows none
    of it, because the Explainer stands above the methods that it remembers for.
    """

    title: ClassVar[str] = ""
    equation: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    def relevance(self, explainer: Any, x: Any, target: Any, abandoned: Callable[[], bool] = never) -> Explanation:
        """Relevance of every element of x (batch first) for the target; called by Explainer.explain."""
        raise NotImplementedError


def check_method(name: str, method: Any) -> None:
    """Raise TypeError where a wrapper got something that does not explain."""
    if not hasattr(method, "relevance") or isinstance(method, type):
        raise TypeError(f"{name} must be a method such as lw.LRP(lw.epsilon()), got {method!r}.")
