"""Tokens against captum's layer methods; Grad-CAM of networks that others wrote, channels last or pixels as tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw

transformers = pytest.importorskip("transformers", reason="needs the extra `peers`")
captum_attr = pytest.importorskip("captum.attr", reason="needs the extra `peers`")

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "num_labels": 3}


def spread(model: nn.Module) -> nn.Module:
    """Weights that are not near zero: a classifier's head may begin there."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval().double()


class Logits(nn.Module):
    """The logits alone, as captum takes them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(ids).logits


@pytest.mark.parametrize("name", ["Bert", "Roberta"])
def test_integrated_gradients_of_tokens_are_captums(name: str) -> None:
    config = getattr(transformers, f"{name}Config")(**SIZES, vocab_size=40, max_position_embeddings=20, pad_token_id=1)
    network = Logits(spread(getattr(transformers, f"{name}ForSequenceClassification")(config)))
    ids = torch.randint(2, 40, (2, 6), generator=torch.Generator().manual_seed(1))
    words = dict(network.named_modules())[f"model.{name.lower()}.embeddings.word_embeddings"]
    layer = captum_attr.LayerIntegratedGradients(network, words)
    # Captum's baseline goes through the whole model, also through the positions that Roberta makes of the tokens, so
    # that the baseline here is another token and not that of padding.
    theirs = layer.attribute(ids, torch.full_like(ids, 2), target=1, n_steps=200, method="gausslegendre").sum(-1)
    ours = lw.Explainer(network).explain(ids, 1, lw.IntegratedGradients(steps=200, token=2))
    words_alone = ours.relevance
    if name == "Bert":  # the types of tokens are constants here, and are no part of the input
        assert words_alone.shape == ids.shape
    torch.testing.assert_close(words_alone, theirs.to(words_alone), rtol=1e-4, atol=1e-6)
    assert ours.convergence is not None and float(ours.convergence.abs().max()) < 1e-6


def cam(network: nn.Module, x: Tensor, layer: nn.Module, maps: Any) -> Tensor:
    """Grad-CAM of class 0 without ReLU, of what a hook of the layer sees."""
    kept: list[Tensor] = []
    hook = layer.register_forward_hook(lambda module, args, out: kept.append(out))
    score = network(x)[:, 0].sum()
    hook.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    a, gradient = maps(kept[0].detach()), maps(gradient)
    small = (gradient.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True)
    return F.interpolate(small, x.shape[2:], mode="bilinear").expand(x.shape)


def tokens(own: int, grid: tuple[int, int]) -> Any:
    return lambda a: a[:, own:].movedim(-1, 1).unflatten(2, grid)


NETWORKS: dict[str, Any] = {
    "ViT": ({"image_size": [24, 36], "patch_size": 6}, (24, 36), "layernorm_before", tokens(1, (4, 6))),
    "DeiT": ({"image_size": [24, 36], "patch_size": 6}, (24, 36), "layernorm_before", tokens(2, (4, 6))),
    "Swin": (
        {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
        (32, 48),
        "swin.layernorm",
        tokens(0, (8, 12)),
    ),
    "ConvNext": (
        {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1]},
        (64, 96),
        "pwconv1",
        lambda a: a.movedim(-1, 1),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_grad_cam_of_networks_that_others_wrote(name: str) -> None:
    more, sides, ending, maps = NETWORKS[name]
    sizes = SIZES if name in ("ViT", "DeiT") else {"num_labels": 3}
    config = getattr(transformers, f"{name}Config")(**sizes | more)
    network = Logits(spread(getattr(transformers, f"{name}ForImageClassification")(config)))
    x = torch.rand(2, 3, *sides, generator=torch.Generator().manual_seed(1)).double()
    layer, module = [(path, part) for path, part in network.named_modules() if path.endswith(ending)][-1]
    explainer = lw.Explainer(network)
    ours = explainer.explain(x, 0, lw.GradCAM(layer, rectify=False))
    expected = cam(network, x, module, maps)
    torch.testing.assert_close(ours.relevance, expected, rtol=1e-6, atol=1e-8 * float(expected.abs().max()))
    default = explainer.explain(x, 0, lw.GradCAM(rectify=False))
    assert "patch_embeddings" not in default.notes[0] and bool(default.relevance.any())
    if name in ("ViT", "DeiT", "Swin"):  # where that is the last one that the score depends on
        assert default.notes == ours.notes
