"""Kinds of layers that work on tokens: attention, spelled in several ways, and recurrence."""

from __future__ import annotations

import torch
from hypothesis.strategies import SearchStrategy
from torch import Tensor, nn
from torch.nn import functional as F

from tests.engine.networks.layers import YES_NO, Do, Kind, Settings, Shape, Weights, choices, divisors, tokens

ATTENDING = ("fused", "by hand", "shared keys", "queries", "by hand queries", "memory", "by hand memory")


def _attend(shape: Shape) -> SearchStrategy[Settings]:
    masks = ("none", "causal", "bool", "float", "infinite")
    return choices(how=ATTENDING, heads=divisors(shape[1]), mask=masks)


def _make_attend(shape: Shape, how: str, heads: int, mask: str) -> nn.Module:
    length, width = shape

    def run(x: Tensor, weights: Weights) -> Tensor:
        q, k, v = ((x @ w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in weights.all[:3])
        if how.endswith("queries"):  # learned, as many as there are tokens
            q = weights.all[3].unflatten(-1, (heads, -1)).transpose(0, 1).expand(len(x), -1, -1, -1)
        if how.endswith("memory"):  # learned keys and values
            k = v = weights.all[3].unflatten(-1, (heads, -1)).transpose(0, 1).expand(len(x), -1, -1, -1)
        if how == "shared keys":
            k, v = k[:, :1], v[:, :1]
        allowed = torch.ones(length, length).tril().bool()
        far = torch.linspace(-1, 1, length * length).reshape(length, length).to(x)
        infinite = far.masked_fill(~allowed, -torch.inf)
        given = {"none": None, "causal": None, "bool": allowed, "float": far, "infinite": infinite}[mask]
        if how.startswith("by hand"):
            logits = q @ k.mT / q.shape[-1] ** 0.5
            logits = logits + given if mask in ("float", "infinite") else logits
            logits = logits.masked_fill(~allowed, -torch.inf) if mask in ("causal", "bool") else logits
            made = logits.softmax(-1) @ v
        else:
            made = F.scaled_dot_product_attention(
                q, k, v, given, is_causal=mask == "causal", enable_gqa=how == "shared keys"
            )
        return made.transpose(1, 2).flatten(2)

    return Do(run, Weights(*[(width, width)] * 3, (length, width)))


def _make_multihead(shape: Shape, heads: int, weighed: bool, causal: bool) -> nn.Module:
    mask = torch.ones(shape[0], shape[0]).triu(1).bool() if causal else None
    return Do(
        lambda x, layer: layer(x, x, x, need_weights=weighed, attn_mask=mask)[0],
        nn.MultiheadAttention(shape[1], heads, batch_first=True),
    )


def _make_encoder(shape: Shape, heads: int, norm_first: bool, activation: str) -> nn.Module:
    return nn.TransformerEncoderLayer(
        shape[1], heads, 2 * shape[1], activation=activation, norm_first=norm_first, batch_first=True
    )


def _make_recurrent(
    shape: Shape, kind: str, layers: int, both: bool, bias: bool, time_first: bool, last: bool
) -> nn.Module:
    layer = getattr(nn, kind)(shape[1], 2, layers, bias=bias, batch_first=not time_first, bidirectional=both)

    def run(x: Tensor, layer: nn.Module) -> Tensor:
        out = layer(x.transpose(0, 1))[0].transpose(0, 1) if time_first else layer(x)[0]
        return out[:, -1] if last else out

    return Do(run, layer)


SEQUENCES: dict[str, Kind] = {
    "attention": Kind(_attend, _make_attend, tokens),
    "multihead": Kind(
        lambda shape: choices(heads=divisors(shape[1]), weighed=YES_NO, causal=YES_NO), _make_multihead, tokens
    ),
    "encoder": Kind(
        lambda shape: choices(heads=divisors(shape[1]), norm_first=YES_NO, activation=("relu", "gelu")),
        _make_encoder,
        tokens,
    ),
    "recurrent": Kind(
        lambda shape: choices(
            kind=("LSTM", "GRU", "RNN"), layers=(1, 2), both=YES_NO, bias=YES_NO, time_first=YES_NO, last=YES_NO
        ),
        _make_recurrent,
        tokens,
    ),
}
