"""Operations on complex numbers, as operations on pairs of a real and an imaginary part.

Products with a constant, sums and Fourier transforms are linear in the pairs: each part takes its share. Two factors
that both depend on the input take half each. A magnitude is homogeneous, so that first order leaves nothing over.
"""

from __future__ import annotations

from lrp_widgets.engine.operators.first_order import taylor
from lrp_widgets.engine.operators.identity_routing import routing
from lrp_widgets.engine.operators.linear import linear, multilinear, of_first
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import OperatorRule, Pullback
from lrp_widgets.engine.trace.complex_numbers import ComplexOperation
from lrp_widgets.engine.trace.step import Step
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["complex_rule"]

_LINEAR = frozenset(
    {
        "add", "sub", "rsub", "neg", "sum", "mean", "cumsum", "_conj", "_conj_physical", "conj_physical", "conj",
        "_neg_view", "_fft_r2c", "_fft_c2c", "_fft_c2r", "constant_pad_nd", "index_add", "scatter_add", "complex",
    }
)  # fmt: skip
_AFFINE = frozenset({"addmm", "baddbmm", "addmv", "addbmm"})  # what a constant adds is a bias
_PRODUCTS = frozenset({"mul", "mm", "bmm", "matmul", "dot", "vdot", "mv", "convolution"})


def complex_rule(step: Step, moves: frozenset[str]) -> OperatorRule:
    """The rule of a step on complex numbers.

    moves: the operations that only move elements about.
    """
    name = step.op.partition("::")[2]
    if name in moves or name in ("view_as_real", "view_as_complex", "real", "imag", "resolve_conj", "resolve_neg"):
        return routing
    if name in _LINEAR or (name in _AFFINE and len(step.inputs) == 1):
        return linear
    if name in _PRODUCTS:
        return _product
    if name == "div":
        return _quotient
    return taylor


def _product(step: Step, tape: Tape, options: Options) -> Pullback:
    return multilinear(*range(len(step.inputs)))(step, tape, options)


def _quotient(step: Step, tape: Tape, options: Options) -> Pullback:
    """x / y with y constant is linear; what divides and depends on the input is held constant."""
    assert isinstance(step.func, ComplexOperation)
    if step.func.places == (0,):
        return linear(step, tape, options)
    if step.func.places == (0, 1):
        return of_first(step, tape, options)
    return taylor(step, tape, options)
