"""Arguments that several functions take, written down once: of a stream and its result, and of a setting.

Both decorators keep the whole signature, with every name, type and default: for help(), for completion in a notebook
and for type checkers.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from torch import nn

from lrp_widgets.engine.propagation.target import Target

__all__ = ["ByKeyword", "by_keyword", "last", "result_of"]

P = ParamSpec("P")
Step = TypeVar("Step")
Result = TypeVar("Result")
Chosen = TypeVar("Chosen")
Result_co = TypeVar("Result_co", covariant=True)


def last(steps: Iterator[Step]) -> Step:
    """The last value of an iterator that yields at least one."""
    return deque(steps, maxlen=1).pop()


def result_of(
    stream: Callable[P, Iterator[Step]],
) -> Callable[[Callable[[Iterator[Step]], Result]], Callable[P, Result]]:
    """Give a function the arguments of `stream`: it is called with the iterator that the stream returns for them."""

    def decorate(reduce: Callable[[Iterator[Step]], Result]) -> Callable[P, Result]:
        @wraps(reduce)
        def run(*args: P.args, **kwargs: P.kwargs) -> Result:
            return reduce(stream(*args, **kwargs))

        returned = inspect.signature(reduce).return_annotation
        _sign(run, inspect.signature(stream).replace(return_annotation=returned))
        return run

    return decorate


class ByKeyword(Protocol[P, Result_co]):
    """A function of a model, an input, a heatmap and a target that takes the fields of a setting as keywords."""

    def __call__(
        self,
        model: nn.Module,
        x: Any,
        heatmap: Any,
        target: Target = None,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Result_co: ...


def by_keyword(
    setting: Callable[P, Chosen],
) -> Callable[
    [Callable[[nn.Module, Any, Any, Target, Chosen], Result]],
    ByKeyword[P, Result],
]:
    """Let a function whose last argument is a setting take the fields of that setting as keyword arguments."""

    def decorate(function: Callable[..., Result]) -> ByKeyword[P, Result]:
        @wraps(function)
        def run(model: Any, x: Any, heatmap: Any, target: Any = None, *args: P.args, **kwargs: P.kwargs) -> Result:
            return function(model, x, heatmap, target, setting(*args, **kwargs))

        own = inspect.signature(function)
        *names, _ = own.parameters.values()
        names[-1] = names[-1].replace(default=None)
        _sign(run, own.replace(parameters=[*names, *inspect.signature(setting).parameters.values()]))
        return run

    return decorate


def _sign(function: Any, signature: inspect.Signature) -> None:
    function.__signature__ = signature
