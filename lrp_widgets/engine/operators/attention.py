"""What attention and softmax are to LRP.

Achtibat et al. 2024 (AttnLRP); Ali et al. 2022 (CP-LRP: attention held constant).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.layers.reciprocal import reciprocal
from lrp_widgets.engine.operators.first_order import first_order
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import Pullback, PulledBack, vjp
from lrp_widgets.engine.trace.tape import Ref, Step, Tape

__all__ = ["attention", "softmax", "weighted_mean"]


def softmax(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_i = x_i (R_i − s_i Σ_j R_j), or nothing where attention is held constant; masked logits count 0."""
    of_all = first_order(step, tape, "softmax")
    counted = _counted(tape.values[step.inputs[0]])

    def pullback(relevance: Tensor, *_: Any) -> PulledBack:
        handed_on, cause = of_all(relevance)
        handed = handed_on[0]
        assert handed is not None
        # A row that is masked as a whole has even weights: its logits are the mask's, not the model's.
        return [handed if counted is None else torch.where(counted, handed, 0)], cause

    return pullback


def weighted_mean(step: Step, tape: Tape, options: Options) -> Pullback:
    """Σ exp(x) v / Σ exp(x), divided at the end: the same as softmax and product."""
    adjoint, (z, *_) = vjp(step, tape)
    one_over_z, counted = reciprocal(z), _counted(tape.values[step.inputs[0]])
    func: Any = step.func
    # Multiplied element by element, the exponentials are a gate, as the weights of a softmax are.
    is_gate = options.product == "signal" and not any(part.op in ("mm", "bmm", "matmul", "mv") for part in func.steps)
    of_logits = 0.0 if options.attention == "held constant" or is_gate else 0.5

    def pullback(relevance: Tensor) -> PulledBack:
        of_x, of_v = adjoint(relevance * one_over_z)
        handed = tape.values[step.inputs[0]] * of_x * of_logits
        handed = handed if counted is None else torch.where(counted, handed, 0)
        return [handed, tape.values[step.inputs[1]] * of_v * (1 - of_logits)], "softmax"

    return pullback


MASKED = -9000.0  # masks add −∞, the lowest number of a dtype, −1e9 or −1e4: no logit of a model lies down there


def _counted(logits: Tensor) -> Tensor | None:
    """Which logits no mask has pushed down; None where that is all of them."""
    counted = logits > MASKED
    return None if bool(counted.all()) else counted


def attention(step: Step, tape: Tape, options: Options) -> Pullback:
    """O = softmax(Q Kᵀ / √d + mask) V in one op: the same as its parts, product, softmax, product."""
    named = _attention_arguments(step)
    q, k, v = (tape.values[arg.value] if isinstance(arg, Ref) else arg for arg in (named["q"], named["k"], named["v"]))
    scale = named["scale"] if named["scale"] is not None else q.shape[-1] ** -0.5
    k_all, v_all = _as_many_heads(k, q), _as_many_heads(v, q)
    raw = (q @ k_all.mT) * scale
    logits = _masked(raw, named)
    weights = torch.nan_to_num(logits.softmax(-1))  # a row that is masked as a whole has weights 0
    o = weights @ v_all
    one_over_o, counted = reciprocal(o), _counted(logits)
    alive = raw != 0 if counted is None else (raw != 0) & counted & (logits != 0)
    # Which of the three depend on the input: what is constant in a product leaves all to the other side.
    of_q, of_k, of_v = (isinstance(named[name], Ref) for name in ("q", "k", "v"))
    constant = of_v and (options.attention == "held constant" or not (of_q or of_k))

    def pullback(relevance: Tensor, *_: Any) -> PulledBack:
        s = relevance * one_over_o * (0.5 if of_v and not constant else 1.0)
        r_v = _heads_together(v_all * (weights.mT @ s), v)
        r_q, r_k = torch.zeros_like(q), torch.zeros_like(k)
        if not constant:
            r_weights = weights * (s @ v_all.mT)
            # R of a logit is x (R_w − w Σ R_w). A mask is a constant in the sum x = raw + mask, of which raw takes its
            # share; where it cuts off, raw hands nothing on.
            s_raw = (r_weights - weights * r_weights.sum(-1, keepdim=True)) * alive
            s_raw = s_raw * (0.5 if of_q and of_k else 1.0)
            r_q = q * (s_raw @ k_all) * scale
            r_k = _heads_together(k_all * (s_raw.mT @ q) * scale, k)
        shares = {"q": r_q, "k": r_k, "v": r_v}
        handed: list[Tensor | None] = [shares[name] for name in ("q", "k", "v") if isinstance(named[name], Ref)]
        handed += [None] * (len(step.inputs) - len(handed))  # a mask made from the input
        return handed, "softmax"

    return pullback


def _attention_arguments(step: Step) -> dict[str, Any]:
    """q, k, v, mask, causal and scale of the fused ops, whose spellings differ by device."""
    schema: Any = getattr(step.func, "_schema", None)
    names = [argument.name for argument in schema.arguments]
    arguments = dict(zip(names, step.args, strict=False)) | step.kwargs
    return {
        "q": arguments["query"],
        "k": arguments["key"],
        "v": arguments["value"],
        "mask": arguments.get("attn_mask", arguments.get("attn_bias")),
        "causal": arguments.get("is_causal", False),
        "scale": arguments.get("scale"),
    }


def _as_many_heads(t: Tensor, q: Tensor) -> Tensor:
    """Keys and values shared by groups of heads, once for each head."""
    return t if t.shape[1] == q.shape[1] else t.repeat_interleave(q.shape[1] // t.shape[1], 1)


def _heads_together(t: Tensor, like: Tensor) -> Tensor:
    return t if t.shape == like.shape else t.unflatten(1, (like.shape[1], -1)).sum(2)


def _masked(raw: Tensor, named: dict[str, Any]) -> Tensor:
    if named["causal"]:
        allowed = torch.ones(raw.shape[-2:], dtype=torch.bool, device=raw.device).tril()
        raw = raw.masked_fill(~allowed, -torch.inf)
    mask = named["mask"]
    if isinstance(mask, Tensor):
        raw = raw.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else raw + mask
    return raw
