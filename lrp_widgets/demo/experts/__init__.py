"""Demo experts, fitted once: each file has a `load(strength)` of an expert. To add one, name it in EXPERTS."""

# `digits_gaussian` and `digits_rbm` are the functions from here on, not the files they live in.
from lrp_widgets.demo.experts.digits_gaussian import load as digits_gaussian
from lrp_widgets.demo.experts.digits_rbm import load as digits_rbm

__all__ = ["EXPERTS", "digits_gaussian", "digits_rbm"]

EXPERTS = (digits_gaussian, digits_rbm)
