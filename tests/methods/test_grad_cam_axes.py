"""Grad-CAM where channels come last, where pixels are tokens, and where axes cannot be told; against autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw


def cam(model: nn.Module, x: Tensor, layer: str, maps: Callable[[Tensor], Tensor], channel: int = 1) -> Tensor:
    """Grad-CAM of class 0 without ReLU: `maps` makes (n, channels, …space) of what the layer hands on."""
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda module, args, out: kept.append(out))
    score = model(x)[:, 0].sum()
    hook.remove()
    a = kept[-1]
    (gradient,) = torch.autograd.grad(score, a)
    a, gradient = maps(a.detach()), maps(gradient)
    space = tuple(range(2, a.ndim))
    small = (gradient.mean(space, keepdim=True) * a).sum(1, keepdim=True)
    sizes = [length for place, length in enumerate(x.shape) if place not in (0, channel)]
    large = F.interpolate(small, sizes, mode=("linear", "bilinear", "trilinear")[len(sizes) - 1])
    return large.movedim(1, channel).expand(x.shape)


def first(a: Tensor) -> Tensor:
    return a


def last(a: Tensor) -> Tensor:
    return a.movedim(-1, 1)


class Block(nn.Module):
    """As in ConvNeXt: between two convolutions, channels last."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.depth = nn.Conv2d(3, 6, 2, stride=2), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm, self.wide, self.act, self.narrow = nn.LayerNorm(6), nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 6)
        self.head = nn.Linear(6, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        a = self.norm(self.depth(x).permute(0, 2, 3, 1))
        x = x + self.narrow(self.act(self.wide(a))).permute(0, 3, 1, 2)
        return self.head(x.tanh().mean((2, 3)))


class Windows(nn.Module):
    """As in Swin: channels last all the way, attention in windows, patches merged; ends in a norm."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.norm, self.qkv = nn.Conv2d(3, 4, 2, stride=2), nn.LayerNorm(4), nn.Linear(4, 12)
        self.mlp, self.merge, self.final = nn.Linear(4, 4), nn.Linear(16, 8), nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        a = self.norm(x).view(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
        q, k, v = self.qkv(a).chunk(3, -1)
        a = (q @ k.transpose(1, 2)).softmax(-1) @ v
        x = x + a.view(n, h // 2, w // 2, 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        x = x + self.mlp(x).relu()
        parts = [x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
        x = self.final(self.merge(torch.cat(parts, -1)))
        return self.head(x.tanh().mean((1, 2)))


class Tokens(nn.Module):
    """As in ViT: patches in a row behind tokens of their own, attention, the first token alone is classified."""

    def __init__(self, own: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.own = nn.Conv2d(3, 8, 4, stride=4), nn.Parameter(torch.randn(1, own, 8))
        self.norm, self.qkv, self.mlp = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.second, self.again, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 3)
        self.double().eval()

    def attend(self, a: Tensor, qkv: nn.Linear) -> Tensor:
        q, k, v = qkv(a).reshape(*a.shape[:2], 3, 2, 4).permute(2, 0, 3, 1, 4)
        return ((q @ k.transpose(-1, -2)).softmax(-1) @ v).transpose(1, 2).flatten(2)

    def forward(self, x: Tensor) -> Tensor:
        a = self.patches(x).flatten(2).transpose(1, 2)
        a = torch.cat([self.own.expand(len(x), -1, -1), a], 1)
        a = a + self.attend(self.norm(a), self.qkv)
        a = a + self.mlp(a).tanh()
        a = a + self.attend(self.second(a), self.again)
        return self.out(a[:, 0])


class Scaled(Tokens):
    """Keys are scaled before they are taken apart into heads: a step as any other, and no layer."""

    def attend(self, a: Tensor, qkv: nn.Linear) -> Tensor:
        q, k, v = qkv(a).chunk(3, -1)
        q, k, v = (each.unflatten(-1, (2, 4)).transpose(1, 2) for each in (q, 0.5 * k, v))
        return ((q @ k.transpose(-1, -2)).softmax(-1) @ v).transpose(1, 2).flatten(2)


def tokens_behind(own: int) -> Callable[[Tensor], Tensor]:
    return lambda a: a[:, own:].movedim(-1, 1).unflatten(2, (2, 3))


class Series(nn.Module):
    """(n, time, features): the input itself has its channels last."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.mlp, self.out = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        a = self.embed(x).tanh()
        return self.out((a + self.mlp(a).relu()).tanh().mean(1))


class Mixer(nn.Module):
    """As in MLP-Mixer: patches are cut by a view, and a linear map mixes positions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.tokens, self.features = nn.Linear(48, 8), nn.Linear(6, 6), nn.Linear(8, 8)
        self.norm, self.out = nn.LayerNorm(8), nn.Linear(8, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        a = x.reshape(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(n, -1, 16 * c)
        a = self.embed(a)
        a = a + self.tokens(self.norm(a).transpose(1, 2)).transpose(1, 2)
        return self.out((a + self.features(a).tanh()).tanh().mean(1))


class Shuffled(nn.Module):
    """Channels become pixels and pixels channels: they stay where channels and pixels are."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.up, self.down = nn.Conv2d(3, 4, 1), nn.PixelShuffle(2), nn.PixelUnshuffle(4)
        self.out = nn.Linear(16, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.down(self.up(self.conv(x)).tanh()).tanh().mean((2, 3)))


class LastIn(nn.Module):
    """(n, height, width, channels) in, turned for a convolution."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.out = nn.Conv2d(3, 6, 3), nn.Linear(6, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.conv(x.permute(0, 3, 1, 2)).relu().mean((2, 3)))


PICTURE = (3, 8, 12)
# Model, shape of an input, layer, how it is laid out, its size, and what the note adds.
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str, Callable[[Tensor], Tensor], str, int]] = {
    "before the block": (Block, PICTURE, "stem", first, "4 × 6", 1),
    "norm, channels last": (Block, PICTURE, "norm", last, "4 × 6", 1),
    "linear, channels last": (Block, PICTURE, "wide", last, "4 × 6", 1),
    "activation, channels last": (Block, PICTURE, "act", last, "4 × 6", 1),
    "patches of windows": (Windows, PICTURE, "patches", first, "4 × 6", 1),
    "norm before windows": (Windows, PICTURE, "norm", last, "4 × 6", 1),
    "behind windows": (Windows, PICTURE, "mlp", last, "4 × 6", 1),
    "merged": (Windows, PICTURE, "merge", last, "2 × 3", 1),
    "final norm": (Windows, PICTURE, "final", last, "2 × 3", 1),
    "tokens": (Tokens, PICTURE, "norm", tokens_behind(1), "2 × 3", 1),
    "tokens, linear": (Tokens, PICTURE, "mlp", tokens_behind(1), "2 × 3", 1),
    "tokens with registers": (lambda: Tokens(5), PICTURE, "second", tokens_behind(5), "2 × 3", 1),
    "tokens alone": (lambda: Tokens(0), PICTURE, "norm", tokens_behind(0), "2 × 3", 1),
    "patches by a view": (Mixer, PICTURE, "embed", tokens_behind(0), "2 × 3", 1),
    "behind mixed positions": (Mixer, PICTURE, "features", tokens_behind(0), "2 × 3", 1),
    "channels to pixels": (Shuffled, PICTURE, "up", first, "16 × 24", 1),
    "pixels to channels": (Shuffled, PICTURE, "down", first, "4 × 6", 1),
    "a series": (Series, (7, 5), "mlp", last, "7", 2),
    "channels last in": (LastIn, (8, 12, 3), "conv", first, "6 × 10", 3),
}


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_axes_are_told_apart(case: str, rows: int) -> None:
    make, shape, layer, maps, size, channel = CASES[case]
    torch.manual_seed(1)
    model, x = make(), torch.randn(rows, *shape).double()
    explanation = lw.Explainer(model).explain(x, 0, lw.GradCAM(layer, rectify=False))
    torch.testing.assert_close(explanation.relevance, cam(model, x, layer, maps, channel), rtol=1e-8, atol=1e-10)
    assert bool(explanation.relevance.any())
    own = len(model.own[0]) if isinstance(model, Tokens) else 0
    left_out = f", {own} token{'s' * (own > 1)} left out" if own else ""
    assert explanation.notes == (f"{size} maps of {layer}{left_out}",)
    said = lw.Explainer(model).explain(x, 0, lw.GuidedGradCAM(layer, rectify=False))
    assert said.relevance.shape == x.shape


def joined() -> nn.Module:
    """As in DenseNet: what was there before, and more channels beside it."""

    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.one, self.two, self.out = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            a = self.one(x).relu()
            return self.out(torch.cat([a, self.two(a)], 1).mean((2, 3)))

    return Joined().double().eval()


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize(
    ("make", "shape", "note"),
    [
        (Block, PICTURE, "4 × 6 maps of tanh"),
        (Windows, PICTURE, "2 × 3 maps of tanh"),
        (Tokens, PICTURE, "2 × 3 maps of second, 1 token left out"),
        (Scaled, PICTURE, "2 × 3 maps of second, 1 token left out"),
        (lambda: Tokens(2), PICTURE, "2 × 3 maps of second, 2 tokens left out"),
        (Series, (7, 5), "7 maps of tanh#2"),
        (joined, PICTURE, "8 × 12 maps of cat"),
        (Mixer, PICTURE, "2 × 3 maps of tanh#2"),
        (LastIn, (8, 12, 3), "6 × 10 maps of relu"),
    ],
)
def test_the_last_layer_with_maps_that_the_score_depends_on(make: Any, shape: Any, note: str, rows: int) -> None:
    """Not the embedding of patches, nor tokens behind the last attention that nothing looks at."""
    x = torch.randn(rows, *shape).double()
    assert lw.Explainer(make()).explain(x, 0, lw.GradCAM()).notes == (note,)


class Hidden(nn.Module):
    """Pixels are put into an order that no step tells."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.mix = nn.Conv2d(3, 4, 2, stride=2), nn.Linear(4, 5)
        self.norm, self.out = nn.LayerNorm(5), nn.Linear(5, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        a = self.patches(x)
        rows = torch.arange(a.shape[2] * a.shape[3])
        a = a.flatten(2)[:, :, rows].transpose(1, 2)  # by an index, which may be anything
        return self.out(self.norm(self.mix(a)).tanh().mean(1))


def error_of(make: Callable[[], Any]) -> str:
    with pytest.raises(Exception) as caught:
        make()
    return f"{type(caught.value).__name__}: {caught.value}"


def test_where_axes_cannot_be_told_it_says_so_and_can_be_told() -> None:
    model, x = Hidden(), torch.randn(2, *PICTURE).double()
    explainer = lw.Explainer(model)
    assert error_of(lambda: explainer.explain(x, 0, lw.GradCAM())) == (
        "ValueError: GradCAM cannot tell which axes of 'mix' and of what is behind it are space, and all that it "
        "can tell lies before: patches. Name a layer: layer=…, if need be with channels=…."
    )
    assert error_of(lambda: explainer.explain(x, 0, lw.GradCAM("mix"))) == (
        "ValueError: GradCAM cannot tell which axis of 'mix', (2, 24, 5), holds the channels. Say which one, for "
        "instance channels=-1. Choose a layer with maps: patches."
    )
    for channels in (-1, 2):
        told = explainer.explain(x, 0, lw.GradCAM("mix", False, channels))
        expected = cam(model, x, "mix", lambda a: a.movedim(-1, 1).unflatten(2, (4, 6)))
        torch.testing.assert_close(told.relevance, expected, rtol=1e-8, atol=1e-10)
    assert told.notes == ("4 × 6 maps of mix",)
    assert error_of(lambda: explainer.explain(x, 0, lw.GradCAM("mix", channels=1))) == (
        "ValueError: GradCAM lays tokens out as a grid, and the 5 tokens of 'mix' are none that fits an input of "
        "8 × 12, also without up to 8 others before it. Choose a layer with maps: patches."
    )
    assert error_of(lambda: explainer.explain(x, 0, lw.GradCAM("mix", channels=3))) == (
        "ValueError: GradCAM.channels must be an axis of 'mix', (2, 24, 5), behind that of the batch, got 3."
    )
    assert error_of(lambda: lw.GradCAM(channels=10**9)).startswith("TypeError: GradCAM.channels must be the number of ")
    assert error_of(lambda: lw.GradCAM(channels=1.0)) == (
        "TypeError: GradCAM.channels must be the number of an axis, such as -1, got 1.0."
    )


class Reordered(nn.Module):
    """Rows in an order that no step tells: as many axes as before, and none of them is told."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.order, self.out = nn.Conv2d(3, 4, 3, padding=1), nn.Identity(), nn.Linear(4, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv(x)
        return self.out(self.order(a[:, :, torch.arange(a.shape[2])].tanh() + 1).relu().mean((2, 3)))


def test_four_axes_that_are_not_told() -> None:
    model, x = Reordered(), torch.randn(2, *PICTURE).double()
    explainer = lw.Explainer(model)
    assert error_of(lambda: explainer.explain(x, 0, lw.GradCAM("add"))) == (
        "ValueError: GradCAM cannot tell which axis of 'add', (2, 4, 8, 12), holds the channels. Say which one, for "
        "instance channels=-1. Choose a layer with maps: conv."
    )
    told = explainer.explain(x, 0, lw.GradCAM("add", False, channels=1))
    torch.testing.assert_close(told.relevance, cam(model, x, "order", first), rtol=1e-8, atol=1e-10)
