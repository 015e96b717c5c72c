"""torchvision's pretrained networks: its own loader, its own preprocessing, and words where there is no network."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

import lrp_widgets as lw
from lrp_widgets.demo.weights import WeightsError

pytest.importorskip("torchvision", reason="needs the extra `vision`")

from torchvision import models

SMALL = "squeezenet1_1"
CHOSEN = models.SqueezeNet1_1_Weights.IMAGENET1K_V1


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, and nothing to download from."""

    def refuse(request: Any, *_: Any, **__: Any) -> Any:
        raise URLError("no network in tests")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refuse)


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Random weights in torch's cache, under a name that begins with their hash, as torchvision names its files."""
    torch.manual_seed(0)
    weights = models.squeezenet1_1(weights=None).state_dict()
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    torch.save(weights, folder / "new")
    name = f"{SMALL}-{hashlib.sha256((folder / 'new').read_bytes()).hexdigest()[:8]}.pth"
    monkeypatch.setattr(CHOSEN.value, "url", f"https://download.pytorch.org/models/{name}")
    return (folder / "new").rename(folder / name), weights


def photograph(height: int, width: int) -> Image.Image:
    """Noise that is smooth enough for an interpolation to matter."""
    rng = np.random.default_rng(height + width)
    small = Image.fromarray(rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def test_the_plain_network_comes_back(cached: tuple[Path, dict[str, Any]]) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    model = lw.demo.models.torchvision(SMALL)
    assert torch.equal(torch.rand(1), expected)  # the random stream is left alone
    assert type(model) is models.SqueezeNet and not any(module.training for module in model.modules())
    assert all(torch.equal(value, cached[1][name]) for name, value in model.state_dict().items())
    known = lw.Preprocessing.of(model)
    assert known == lw.Preprocessing.of(CHOSEN) and known.source == CHOSEN.url
    assert known.classes == tuple(CHOSEN.meta["categories"]) and len(known.classes) == 1000
    assert known.low == tuple((0 - m) / s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True))


def test_a_damaged_file_is_not_loaded(cached: tuple[Path, dict[str, Any]]) -> None:
    path = cached[0]
    path.write_bytes(path.read_bytes()[:-1])
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(WeightsError) as caught:
        lw.demo.models.torchvision(SMALL)
    assert str(caught.value) == (
        f"Weights file {path}: its sha256 must begin with {path.stem[-8:]}, got {found[:8]}…. "
        "Delete it, and it is downloaded again; or copy it again from where it is whole."
    )


def test_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        lw.demo.models.torchvision("vgg16")
    assert str(caught.value) == (
        "vgg16 needs its weights VGG16_Weights.IMAGENET1K_V1, and they could not be downloaded from "
        "https://download.pytorch.org/models/vgg16-397923af.pth (URLError: <urlopen error no network in tests>). "
        f"Download that file where there is a network, and put it at {tmp_path}/hub/checkpoints/vgg16-397923af.pth."
    )


def test_a_network_that_sends_something_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A page to log in, say: torch compares the hash, and nothing stays."""

    def page(url: str, file: str, hash_prefix: str | None = None, progress: bool = True) -> None:
        raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "0123")')

    monkeypatch.setattr("torch.hub.download_url_to_file", page)
    with pytest.raises(WeightsError, match=r'\(RuntimeError: invalid hash value \(expected "397923af", got "0123"\)\)'):
        lw.demo.models.torchvision("vgg16")


@pytest.mark.parametrize(
    ("name", "weights", "said"),
    [
        (
            "vgg17",
            "DEFAULT",
            "torchvision has no classifier called 'vgg17'. Near it: vgg19, vgg16, vgg13, vgg11, vgg19_bn. "
            "All: torchvision.models.list_models(module=torchvision.models).",
        ),
        (
            "xyz",
            "DEFAULT",
            "torchvision has no classifier called 'xyz'. Near it: alexnet, convnext_base, convnext_large, "
            "convnext_small, convnext_tiny, …. All: torchvision.models.list_models(module=torchvision.models).",
        ),
        (
            "resnet50",
            "V3",
            "The weights of resnet50 must be one of IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT, got 'V3'.",
        ),
    ],
)
def test_names_it_does_not_know(name: str, weights: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        lw.demo.models.torchvision(name, weights)
    assert str(caught.value) == said


def test_without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        lw.demo.models.torchvision("vgg16")
    assert str(caught.value) == (
        "demo.models.torchvision builds networks of torchvision, which is not installed: pip install torchvision."
    )


def test_beside_a_torch_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setitem(sys.modules, "torchvision", Broken())  # type: ignore[arg-type]
    with pytest.raises(ImportError) as caught:
        lw.demo.models.torchvision("vgg16")
    assert str(caught.value) == (
        f"torchvision is installed but cannot be imported beside torch {torch.__version__} "
        "(RuntimeError: operator torchvision::nms does not exist). "
        "Install both from the same index: pip install torch torchvision."
    )


EVERY = [weights for name in models.list_models(module=models) for weights in models.get_model_weights(name)]


@pytest.mark.parametrize("weights", EVERY, ids=str)
def test_every_classifier_says_what_it_takes(weights: Any) -> None:
    known, its = lw.Preprocessing.of(weights), weights.transforms()
    assert ([known.size], [known.resize]) == (its.crop_size, its.resize_size)
    assert (list(known.mean), list(known.std), known.interpolation) == (its.mean, its.std, its.interpolation.value)
    assert known.classes is None or len(known.classes) == weights.meta.get("num_classes", 1000)


def test_weights_of_another_kind() -> None:
    chosen = models.segmentation.FCN_ResNet50_Weights.DEFAULT
    with pytest.raises(ValueError) as caught:
        lw.Preprocessing.of(chosen)
    assert str(caught.value) == (
        f"Preprocessing.of() needs weights of a classifier, got {chosen!r} of SemanticSegmentation."
    )


WEIGHTS = (
    models.VGG16_Weights.IMAGENET1K_V1,  # 256, 224, bilinear
    models.VGG16_Weights.IMAGENET1K_FEATURES,  # pixels up to 255
    models.Inception_V3_Weights.IMAGENET1K_V1,  # 342, 299
    models.EfficientNet_B0_Weights.IMAGENET1K_V1,  # bicubic
    models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1,  # 384, 384: nothing is cut off the shorter side
)


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("size", [(263, 376), (500, 335), (256, 256), (257, 511), (120, 90)], ids=str)
def test_the_inputs_are_those_of_its_own_transforms(weights: Any, size: tuple[int, int]) -> None:
    image = photograph(*size)
    expected = weights.transforms()(image)
    (found,) = lw.Preprocessing.of(weights).samples(image).inputs
    assert torch.equal(found, expected)


def test_a_tensor_is_resized_as_an_image() -> None:
    """torchvision resizes tensors by other arithmetic than images: half a level apart, and rounded."""
    pixels = torch.from_numpy(np.array(photograph(300, 450))).permute(2, 0, 1)
    known = lw.Preprocessing.of(CHOSEN)
    expected = CHOSEN.transforms()(pixels)
    assert float((known.samples(pixels).inputs[0] - expected).abs().max()) <= 1.01 / 255 / min(known.std)
