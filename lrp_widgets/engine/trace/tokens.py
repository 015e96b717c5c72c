"""Whole numbers that stand for tokens: which operations hand them on, and which look something up by them.

A token has one relevance, however many numbers are looked up by it. It keeps it while it is moved about, shifted by an
offset or overwritten by a padding token, until an embedding, a table or a one-hot code is looked up by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.trace.step import flat_tensors, op_name

__all__ = ["ASKS_MASK", "MAKES_CODES", "TOKEN_ARITHMETIC", "TOKEN_LOOKUPS", "hands_tokens_on", "loses_tokens"]

# These move tokens about, or write them into other tensors.
_MOVING = frozenset(
    {
        "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "repeat",
        "slice", "select", "split", "split_with_sizes", "unbind", "constant_pad_nd", "cat", "stack", "clone", "alias",
        "detach", "flip", "roll", "_to_copy", "copy", "masked_fill", "where", "index_put", "index_copy", "index_fill",
        "masked_scatter", "slice_scatter", "select_scatter", "as_strided", "as_strided_scatter", "fill", "zero",
        "narrow", "unfold", "tril", "triu", "diagonal", "lift_fresh", "contiguous", "movedim", "swapaxes", "sort",
        "topk",
    }
)  # fmt: skip
# These make other tokens of them.
TOKEN_ARITHMETIC = frozenset(
    {
        "add", "sub", "rsub", "mul", "remainder", "fmod", "floor_divide", "div", "clamp", "clamp_min", "clamp_max",
        "maximum", "minimum", "neg", "abs", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not",
        "__lshift__", "__rshift__", "bitwise_left_shift", "bitwise_right_shift",
    }
)  # fmt: skip
# These look something up by them, unless what is looked up is made from the input: then that carries the relevance.
TOKEN_LOOKUPS = frozenset(
    {
        "embedding", "index", "index_select", "gather", "take", "take_along_dim", "scatter", "scatter_add",
        "index_add", "index_put", "bincount", "_embedding_bag", "_embedding_bag_forward_only",
    }
)  # fmt: skip

# These ask a mask where to act: what it is made of has no relevance for what they do.
ASKS_MASK = frozenset({"where", "masked_fill", "masked_scatter", "masked_select", "index", "index_put"})
MAKES_CODES = frozenset(
    {"eq", "scatter", "scatter_add", "index_add", "bincount"}
)  # a one-hot code, or the counts of a bag of words


def hands_tokens_on(
    func: Any, args: Any, kwargs: dict[str, Any], tracked: Callable[[Tensor], bool], is_code: Callable[[Tensor], bool]
) -> bool:
    """Whether an operation hands whole numbers on as tokens, or looks something up by them.

    tracked: says of a tensor whether it depends on the input.  is_code: says of tokens whether they are a one-hot code,
    which may become floating point; of a mask of ones and zeros that does, no relevance is known.
    """
    name, dtype = op_name(func), kwargs.get("dtype")
    if name == "eq":
        return _is_one_hot(*args[:2]) or (_is_one_hot(args[1], args[0]) and not tracked(args[0]))
    if name not in _MOVING and name not in TOKEN_ARITHMETIC and name not in TOKEN_LOOKUPS:
        return False
    if name == "_to_copy" and is_code(args[0]):
        return True
    if dtype is not None and (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool):
        return False
    if name.startswith("_embedding_bag"):  # its weights carry relevance beside the tokens
        return not tracked(args[0])
    if name in TOKEN_LOOKUPS:
        return not any(_carries(tensor) and tracked(tensor) for tensor in flat_tensors((args, kwargs)))
    if name in TOKEN_ARITHMETIC:
        if name == "div" and kwargs.get("rounding_mode") is None:
            return False
        return not any(_carries(item) or isinstance(item, float) for item in (*args, *kwargs.values()))
    return True


def loses_tokens(func: Any, made: Iterable[Tensor]) -> bool:
    """Whether an operation that does not hand tokens on makes numbers of them, and not a mask or a choice of places."""
    if op_name(func) in ASKS_MASK or op_name(func) in TOKEN_LOOKUPS:
        return False
    return any(tensor.dtype != torch.bool for tensor in made)


def _carries(item: Any) -> bool:
    return isinstance(item, Tensor) and (item.is_floating_point() or item.is_complex())


def _is_one_hot(tokens: Any, numbers: Any) -> bool:
    """Whether tokens are compared with a row of numbers, each with all of them (ids[..., None] == arange(n))."""
    if not isinstance(tokens, Tensor) or not isinstance(numbers, Tensor) or _carries(tokens) or _carries(numbers):
        return False
    return tokens.ndim > 0 and tokens.shape[-1] == 1 and numbers.ndim > 0 and numbers.shape[-1] > 1
