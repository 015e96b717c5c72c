"""What each ATen operator is to LRP, apart from the affine layers that take a rule."""

from lrp_widgets.engine.operators.operators import (
    OPERATORS,
    Options,
    fallback,
    identity,
    overwriting,
    pool,
    product,
    routing,
    taylor,
    treatment,
)

__all__ = [
    "OPERATORS",
    "Options",
    "fallback",
    "identity",
    "overwriting",
    "pool",
    "product",
    "routing",
    "taylor",
    "treatment",
]
