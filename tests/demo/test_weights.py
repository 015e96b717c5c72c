"""A weights file that is not what it says is refused, in words that tell what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from lrp_widgets.demo.weights import WeightsError, checksum, describe, load_weights, save_weights

REMEDY = ". Reinstall lrp_widgets, or train the network again (the command is in small.md beside the file)."


def small() -> nn.Linear:
    return nn.Linear(3, 2)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[nn.Linear, Path]:
    model, path = small(), tmp_path / "small.safetensors"
    save_weights(model, path, {"seed": "7"})
    return model, path


def fault(path: Path) -> str:
    """What the error says between the file's name and the remedy."""
    with pytest.raises(WeightsError) as caught:
        load_weights(small, "small", path.parent)
    text = str(caught.value)
    start = f"Weights file {path}: "
    assert text.startswith(start)
    assert text.endswith(REMEDY)
    return text[len(start) : -len(REMEDY)]


def rewrite(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Other tensors under the metadata of the file."""
    with safe_open(path, framework="pt") as file:
        said = file.metadata()
    save_file(tensors, path, metadata=said)


def test_what_is_saved_comes_back(saved) -> None:
    model, path = saved
    again = load_weights(small, "small", path.parent)
    assert torch.equal(again.weight, model.weight)
    assert torch.equal(again.bias, model.bias)
    assert not again.training
    assert again.weight.requires_grad
    assert describe("small", path.parent) == {"seed": "7", "format": "1", "sha256": checksum(model.state_dict())}


def test_half_precision_comes_back_in_single(tmp_path: Path) -> None:
    model, path = small(), tmp_path / "small.safetensors"
    save_weights(model, path, {}, half=True)
    with safe_open(path, framework="pt") as file:
        assert file.get_tensor("weight").dtype == torch.float16
    again = load_weights(small, "small", tmp_path)
    assert again.weight.dtype == torch.float32
    assert torch.equal(again.weight, model.weight.half().float())
    rewrite(path, {"weight": torch.zeros(2, 3).half(), "bias": torch.zeros(2)})
    assert fault(path) == "bias must be float16 (2,), got float32 (2,)"


def test_others_may_read_what_is_saved(saved) -> None:
    path = saved[1]
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_whole_message(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_weights(small, "small", tmp_path)
    assert str(caught.value) == (
        f"Weights file {tmp_path / 'small.safetensors'}: it must be there, got no such file. Reinstall lrp_widgets, "
        "or train the network again (the command is in small.md beside the file)."
    )


def test_truncated(saved) -> None:
    path = saved[1]
    path.write_bytes(path.read_bytes()[:-4])
    assert fault(path) == f"it must be a whole safetensors file, got {path.stat().st_size} bytes that are not one"


@pytest.mark.parametrize("content", [b"", b"<html>404</html>" * 20])
def test_garbled(saved, content: bytes) -> None:
    path = saved[1]
    path.write_bytes(content)
    assert fault(path) == f"it must be a whole safetensors file, got {len(content)} bytes that are not one"


def test_another_format(saved) -> None:
    model, path = saved
    save_file(dict(model.state_dict()), path)
    assert fault(path) == "its format must be '1', got None"


def test_wrong_shape(saved) -> None:
    path = saved[1]
    rewrite(path, {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)})
    assert fault(path) == "weight must be float32 (2, 3), got float32 (2, 4)"


def test_wrong_dtype(saved) -> None:
    path = saved[1]
    rewrite(path, {"weight": torch.zeros(2, 3), "bias": torch.zeros(2).half()})
    assert fault(path) == "bias must be float32 (2,), got float16 (2,)"


def test_missing_tensor(saved) -> None:
    path = saved[1]
    rewrite(path, {"weight": torch.zeros(2, 3)})
    assert fault(path) == "it must hold weight, bias, got no bias"


def test_surplus_tensor(saved) -> None:
    path = saved[1]
    rewrite(path, {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "scale": torch.ones(1)})
    assert fault(path) == "it must hold weight, bias and nothing else, got also scale"


def test_changed_values(saved) -> None:
    model, path = saved
    other = {"weight": model.weight.detach() + 1, "bias": model.bias.detach().clone()}
    rewrite(path, other)
    assert fault(path) == (f"the sha256 of its tensors must be {checksum(model.state_dict())}, got {checksum(other)}")


def test_the_checksum_sees_names_shapes_dtypes_and_values() -> None:
    x = torch.arange(6.0)
    sums = {
        checksum({"a": x}),
        checksum({"b": x}),
        checksum({"a": x.reshape(2, 3)}),
        checksum({"a": x.view(torch.int32)}),
        checksum({"a": x + 1}),
    }
    assert len(sums) == 5
    assert checksum({"a": x, "b": x + 1}) == checksum({"b": x + 1, "a": x})
