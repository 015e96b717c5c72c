"""Preprocessing: how a classifier of photographs wants its inputs, the box they live in, and its class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.images import centred, listed, numbers, stacked, upright
from lrp_widgets.samples import Samples

__all__ = ["Preprocessing"]

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
SOURCES = "a folder or files of images, Pillow images, or a uint8 tensor (3, h, w) or (n, 3, h, w)"


@dataclass(frozen=True)
class Preprocessing:
    """The shorter side becomes `resize` pixels, a square of `size` is cut out of the middle, mean and std are taken.

    mean, std: of pixels in [0, 1], one number per channel (3: RGB, 1: grey).  interpolation: by its name in Pillow.
    classes: the names of the model's outputs, or None.  source, license: of the weights, where they say so.
    Raises ValueError that names what is wrong.
    """

    size: int = 224
    resize: int = 256
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    classes: tuple[str, ...] | None = None
    source: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        for name in ("size", "resize"):
            if type(value := getattr(self, name)) is not int or value < 1:
                raise ValueError(f"Preprocessing.{name} must be a whole number of pixels, got {value!r}.")
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean) or min(self.std) <= 0:
            raise ValueError(
                "Preprocessing.mean and .std must have one number per channel (1 or 3), .std above 0, "
                f"got {self.mean} and {self.std}."
            )
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"Preprocessing.interpolation must be one of {', '.join(INTERPOLATIONS)}, got {self.interpolation!r}."
            )
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(map(str, self.classes)))

    @property
    def low(self) -> tuple[float, ...]:
        """What black becomes, per channel: (0 − mean) / std, where the box of z^B begins."""
        return tuple((0 - mean) / std for mean, std in zip(self.mean, self.std, strict=True))

    @property
    def high(self) -> tuple[float, ...]:
        """What white becomes, per channel: (1 − mean) / std, where the box of z^B ends."""
        return tuple((1 - mean) / std for mean, std in zip(self.mean, self.std, strict=True))

    @classmethod
    def of(cls, owner: Any) -> Preprocessing:
        """That of a network from lw.demo.models.torchvision or timm, or of torchvision's weights.

        Raises TypeError where it carries none, ValueError where it is of another kind than this.
        """
        if isinstance(owner, cls):
            return owner
        if isinstance(own := getattr(owner, "preprocessing", None), cls):
            return own
        if callable(getattr(owner, "transforms", None)) and isinstance(getattr(owner, "meta", None), Mapping):
            return cls._of_weights(owner)
        config = getattr(owner, "pretrained_cfg", None) or getattr(owner, "default_cfg", None)
        if isinstance(config, Mapping) and "input_size" in config:
            return cls._of_timm(config)
        raise TypeError(
            "Preprocessing.of() needs weights of torchvision (VGG16_Weights.DEFAULT), or a network of "
            f"lw.demo.models.torchvision or of timm (with its pretrained_cfg), got {type(owner).__name__}. "
            "Say it yourself: lw.Preprocessing(size=…, resize=…, mean=…, std=…, classes=…)."
        )

    @classmethod
    def _of_weights(cls, weights: Any) -> Preprocessing:
        """From what torchvision says of its weights."""
        transforms, meta = weights.transforms(), weights.meta
        if not {"crop_size", "resize_size", "mean", "std"} <= set(vars(transforms)):
            raise ValueError(
                f"Preprocessing.of() needs weights of a classifier, got {weights!r} of {type(transforms).__name__}."
            )
        (size,), (resize,) = transforms.crop_size, transforms.resize_size
        interpolation = transforms.interpolation.value.removesuffix("-exact")  # Pillow knows one kind of nearest
        classes = meta.get("categories")
        return cls(
            size, resize, transforms.mean, transforms.std, interpolation, classes, weights.url, meta.get("license", "")
        )

    @classmethod
    def _of_timm(cls, config: Mapping[str, Any]) -> Preprocessing:
        """From the pretrained_cfg that every network of timm carries."""
        channels, height, width = config["input_size"]
        if height != width or config.get("crop_mode", "center") != "center" or channels not in (1, 3):
            raise ValueError(
                "Preprocessing.of() knows squares cut out of the middle, got input_size "
                f"{tuple(config['input_size'])} and crop_mode {config.get('crop_mode', 'center')!r}. "
                "Make the inputs with timm's own transform, and lw.Samples of them."
            )
        source = next((f"{config[key]}" for key in ("hf_hub_id", "url", "file") if config.get(key)), "")
        return cls(
            height,
            int(height / config.get("crop_pct", 0.875)),
            config["mean"],
            config["std"],
            config.get("interpolation", "bilinear"),
            config.get("label_names"),
            source,
            config.get("license") or "",
        )

    def samples(self, source: Any, labels: Sequence[int] | Tensor | None = None, limit: int | None = 200) -> Samples:
        """Photographs as the model takes them, with its class names and input domain.

        source: a folder as in Samples.from_folder (where folders inside are named after `classes`), files of images,
        Pillow images, or a uint8 tensor (n, 3, h, w); one of them or a list.  labels: class indices, where known.
        limit: how many images of a folder are read, as many of each class; None reads all.
        Raises TypeError, ValueError or FileNotFoundError that names what is wrong.
        """
        channels = len(self.mean)
        fit = partial(centred, resize=self.resize, size=self.size, interpolation=self.interpolation)
        if isinstance(source, str | Path) and Path(source).expanduser().is_dir():
            files, found, _ = listed(Path(source).expanduser(), self.classes, limit)
            labels = found if labels is None else labels
            pixels = stacked(files, channels, fit)
        else:
            items = _items(source)
            if all(isinstance(item, str | Path) for item in items):
                pixels = stacked([_file(item) for item in items], channels, fit)
            else:
                pixels = torch.stack([numbers(fit(upright(item, channels))) for item in map(_image, items)])
        mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (self.mean, self.std))
        return Samples((pixels - mean) / std, labels, self.classes, self.low, self.high)


def _items(source: Any) -> list[Any]:
    """One image, file or tensor, or several, as a list of at least one."""
    if isinstance(source, Tensor):
        if source.dtype != torch.uint8 or source.ndim not in (3, 4) or source.shape[-3] not in (1, 3):
            raise TypeError(
                f"Preprocessing.samples needs {SOURCES}, got {source.dtype} {tuple(source.shape)}. "
                "What is floating point already goes to lw.Samples as it is."
            )
        items = list(source if source.ndim == 4 else source[None])
    else:
        items = list(source) if isinstance(source, list | tuple) else [source]
    if not items:
        raise ValueError(f"Preprocessing.samples needs {SOURCES}, got none.")
    return items


def _file(item: str | Path) -> Path:
    path = Path(item).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"Preprocessing.samples needs {SOURCES}, got {path}, which is not there.")
    return path


def _image(item: Any) -> Any:
    """A Pillow image."""
    from PIL import Image  # here, so that whoever reads no images need not wait for it

    if isinstance(item, str | Path):
        return Image.open(_file(item))
    if isinstance(item, Tensor):
        (pixels,) = _items(item)
        return Image.fromarray(pixels.cpu().permute(1, 2, 0).squeeze(2).numpy())
    if not isinstance(item, Image.Image):
        raise TypeError(f"Preprocessing.samples needs {SOURCES}, got {type(item).__name__}.")
    return item
