"""Weights on disk: safetensors with their own description, checked against the model and against a checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

__all__ = ["FOLDER", "FORMAT", "WeightsError", "checksum", "describe", "load_weights", "save_weights"]

FOLDER = Path(__file__).parent
FORMAT = "1"  # rises when an older reader would misread a file

Model = TypeVar("Model", bound=nn.Module)


class WeightsError(RuntimeError):
    """A weights file is missing, damaged, or made for another network."""


def load_weights(make: Callable[[], Model], name: str, folder: Path = FOLDER) -> Model:
    """The network `make()` in eval mode with the weights of `folder`/`name`.safetensors.

    Raises WeightsError that names the file, what it holds, what it must hold, and what to do.
    """
    path = folder / f"{name}.safetensors"
    with torch.device("meta"):  # no initial weights: nothing to compute, and the global random stream stays as it is
        model = make()
    tensors, metadata = _read(path)
    if metadata.get("format") != FORMAT:
        raise _error(path, f"its format must be {FORMAT!r}, got {metadata.get('format')!r}")
    needed = model.state_dict()
    stored = _half(needed) if metadata.get("stored") == "float16" else needed
    if missing := sorted(needed.keys() - tensors.keys()):
        raise _error(path, f"it must hold {', '.join(needed)}, got no {', '.join(missing)}")
    if unknown := sorted(tensors.keys() - needed.keys()):
        raise _error(path, f"it must hold {', '.join(needed)} and nothing else, got also {', '.join(unknown)}")
    for key, expected in stored.items():
        if _form(tensors[key]) != _form(expected):
            raise _error(path, f"{key} must be {_form(expected)}, got {_form(tensors[key])}")
    if (digest := checksum(tensors)) != metadata.get("sha256"):
        raise _error(path, f"the sha256 of its tensors must be {metadata.get('sha256')}, got {digest}")
    model.load_state_dict({key: value.to(needed[key].dtype) for key, value in tensors.items()}, assign=True)
    return model.eval()


def save_weights(model: nn.Module, path: Path, about: Mapping[str, str], half: bool = False) -> None:
    """Write the weights of `model` with `about`, the format and the checksum as metadata; `half`: as float16."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if half:
        tensors, about = _half(tensors), {**about, "stored": "float16"}
    # Not save_file(): it makes files that only their owner may read, and a package built from them would too.
    path.write_bytes(save(tensors, metadata={**about, "format": FORMAT, "sha256": checksum(tensors)}))


def describe(name: str, folder: Path = FOLDER) -> dict[str, str]:
    """What `folder`/`name`.safetensors says of itself: architecture, seed, accuracies, command, checksum."""
    return _read(folder / f"{name}.safetensors")[1]


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """The sha256 over names, dtypes, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        tensor = tensors[key].detach().cpu().contiguous()
        digest.update(f"{key} {_form(tensor)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file."""
    if not path.is_file():
        raise _error(path, "it must be there, got no such file")
    try:
        with safe_open(path, framework="pt") as file:
            # Cloned: the tensors of an open file are a view of the disk.
            return {key: file.get_tensor(key).clone() for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as fault:
        raise _error(
            path, f"it must be a whole safetensors file, got {path.stat().st_size} bytes that are not one"
        ) from fault


def _half(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same in half precision, where they are floating point: half the bytes."""
    return {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}


def _form(tensor: Tensor) -> str:
    """Dtype and shape, as messages and the checksum write them."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _error(path: Path, fault: str) -> WeightsError:
    return WeightsError(
        f"Weights file {path}: {fault}. Reinstall lrp_widgets, or train the network again "
        f"(the command is in {path.stem}.md beside the file)."
    )
