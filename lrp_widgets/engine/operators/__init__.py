"""What each ATen operator is to LRP, apart from the affine layers that take a rule."""

from lrp_widgets.engine.operators.operators import (
    OPERATORS,
    Options,
    fallback,
    identity,
    operator_rule,
    overwriting,
    pool,
    product,
    routing,
    taylor,
)

__all__ = [
    "OPERATORS",
    "Options",
    "fallback",
    "identity",
    "operator_rule",
    "overwriting",
    "pool",
    "product",
    "routing",
    "taylor",
]
