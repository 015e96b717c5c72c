"""The demo networks are built as the paper advises, carry their weights, and read digits they have never seen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lrp_widgets.demo import data, models
from lrp_widgets.demo.models.digits_cnn import DigitsCNN, SumPool2d
from lrp_widgets.demo.models.digits_mlp import DigitsMLP
from lrp_widgets.demo.weights import FOLDER, checksum, describe

NAMES = ("digits_cnn", "digits_mlp")


def test_the_tuple_is_complete() -> None:
    assert list(models.MODELS) == [models.digits_cnn, models.digits_mlp]
    assert [load.__module__.rpartition(".")[2] for load in models.MODELS] == list(NAMES)


@pytest.mark.parametrize("load", models.MODELS)
def test_ready_to_use(load) -> None:
    model = load()
    assert not any(module.training for module in model.modules())
    assert all(value.dtype == torch.float32 and value.device.type == "cpu" for value in model.parameters())
    assert model(torch.rand(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("load", models.MODELS)
def test_every_bias_is_at_most_zero(load) -> None:
    biases = {name: value for name, value in load().named_parameters() if name.endswith("bias")}
    assert biases
    for name, value in biases.items():
        assert value.max() <= 0, name


@pytest.mark.parametrize("load", models.MODELS)
def test_no_layer_is_dead(load) -> None:
    silent = []

    def note(module: nn.Module, _, out: torch.Tensor) -> None:
        active = out.transpose(0, 1).flatten(1).amax(1) > 0
        if not active.any():
            silent.append(module)

    model = load()
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(note)
    model(data.digits().inputs)
    assert silent == []


@pytest.mark.parametrize("load", models.MODELS)
def test_loading_leaves_the_random_stream_alone(load) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load()
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("load", models.MODELS)
def test_two_loads_share_nothing(load) -> None:
    one, other = load(), load()
    with torch.no_grad():
        next(one.parameters()).zero_()
    assert next(other.parameters()).abs().max() > 0


def test_the_cnn_has_one_dense_layer_behind_dropout() -> None:
    kinds = [type(module) for module in models.digits_cnn().modules() if not list(module.children())]
    assert kinds.count(nn.Linear) == 1
    assert kinds[-2:] == [nn.Dropout, nn.Linear]
    assert kinds.count(SumPool2d) == kinds.count(nn.Conv2d) == kinds.count(nn.ReLU) == 3
    assert set(kinds) == {nn.Conv2d, nn.ReLU, SumPool2d, nn.Flatten, nn.Dropout, nn.Linear}


def test_the_mlp_has_three_dense_layers() -> None:
    kinds = [type(module) for module in models.digits_mlp().modules() if not list(module.children())]
    assert kinds == [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


def test_sum_pooling_sums() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert SumPool2d()(x).tolist() == [[[[10.0, 18.0], [42.0, 50.0]]]]
    assert str(SumPool2d()) == "SumPool2d(size=2)"


@pytest.mark.parametrize(("make", "name"), [(DigitsCNN, "digits_cnn"), (DigitsMLP, "digits_mlp")])
def test_files_are_small_and_say_what_they_are(make, name: str) -> None:
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 1_000_000
    said = describe(name)
    assert said["format"] == "1"
    assert said["seed"] == "0"
    assert said["command"].startswith("python -m lrp_widgets.demo.train_digits --mnist path/to/mnist --model ")
    assert said["architecture"] == " > ".join(str(m) for m in make().modules() if not list(m.children()))


@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_of_this_file(name: str) -> None:
    said, card = describe(name), (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for key in ("accuracy_mnist_held_out", "accuracy_digits_held_out", "command", "sha256", "seed"):
        assert said[key] in card, key
    for heading in ("## Architecture", "## Data", "## Made by", "## Intended use and limits"):
        assert heading in card


@pytest.mark.parametrize("load", models.MODELS)
def test_reads_digits_it_has_never_seen(load) -> None:
    name = load.__module__.rpartition(".")[2]
    samples, model = data.digits("test"), load()
    right = (model(samples.inputs).argmax(1) == torch.as_tensor(samples.labels)).float().mean().item()
    assert 100 * right >= float(describe(name)["accuracy_digits_held_out"])
    assert describe(name)["sha256"] == checksum(model.state_dict())


def test_the_cnn_was_good_enough_on_mnist() -> None:
    assert float(describe("digits_cnn")["accuracy_mnist_held_out"]) >= 98.8
