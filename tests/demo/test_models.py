"""The demo networks carry their weights, say what they are, and know what they have never seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.demo import data, models
from lrp_widgets.demo.data.photos import CLASSES
from lrp_widgets.demo.models.digits_cnn import DigitsCNN, SumPool2d
from lrp_widgets.demo.models.digits_mlp import DigitsMLP
from lrp_widgets.demo.models.faces_cnn import FacesCNN
from lrp_widgets.demo.models.photos_cnn import PhotosCNN, ResidualBlock
from lrp_widgets.demo.training.train_photos import guess, read_cifar10
from lrp_widgets.demo.weights import FOLDER, checksum, describe
from lrp_widgets.samples import Samples

NAMES = ("digits_cnn", "digits_mlp", "faces_cnn", "photos_cnn")
DIGITS = (models.digits_cnn, models.digits_mlp)
ADVISED = (*DIGITS, models.faces_cnn)  # built as the paper advises
SHAPES = {"digits_cnn": (1, 28, 28), "digits_mlp": (1, 28, 28), "faces_cnn": (1, 25, 25), "photos_cnn": (3, 32, 32)}


def name_of(load: Any) -> str:
    return load.__module__.rpartition(".")[2]


def samples_for(load: Any) -> Samples:
    return {"faces_cnn": data.faces, "photos_cnn": data.photos}.get(name_of(load), data.digits)()


def test_the_tuple_is_complete() -> None:
    assert list(models.MODELS) == [models.digits_cnn, models.digits_mlp, models.faces_cnn, models.photos_cnn]
    assert [name_of(load) for load in models.MODELS] == list(NAMES)


@pytest.mark.parametrize("load", models.MODELS)
def test_ready_to_use(load) -> None:
    model = load()
    assert not any(module.training for module in model.modules())
    assert all(value.dtype == torch.float32 and value.device.type == "cpu" for value in model.parameters())
    samples = samples_for(load)
    assert samples.inputs.shape[1:] == SHAPES[name_of(load)]
    assert samples.classes is not None
    assert model(samples.inputs[:3]).shape == (3, len(samples.classes))


@pytest.mark.parametrize("load", ADVISED)
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
    model(samples_for(load).inputs)
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


@pytest.mark.parametrize(
    ("make", "name", "size", "command"),
    [
        (DigitsCNN, "digits_cnn", 1_000_000, "train_digits --mnist path/to/mnist --model cnn"),
        (DigitsMLP, "digits_mlp", 1_000_000, "train_digits --mnist path/to/mnist --model mlp"),
        (FacesCNN, "faces_cnn", 500_000, "train_faces"),
        (PhotosCNN, "photos_cnn", 2_000_000, "train_photos --cifar10 path/to/cifar10"),
    ],
)
def test_files_are_small_and_say_what_they_are(make, name: str, size: int, command: str) -> None:
    assert (FOLDER / f"{name}.safetensors").stat().st_size < size
    said = describe(name)
    assert said["format"] == "1"
    assert said["seed"] == "0"
    assert said["command"].startswith(f"python -m lrp_widgets.demo.training.{command} --seed 0")
    assert said["architecture"] == " > ".join(str(m) for m in make().modules() if not list(m.children()))


@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_of_this_file(name: str) -> None:
    said, card = describe(name), (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    measured = [key for key in said if key.startswith(("accuracy", "false_alarms"))]
    assert measured
    for key in (*measured, "command", "sha256", "seed"):
        assert said[key] in card, key
    for heading in ("## Architecture", "## Data", "## Made by", "## Intended use and limits"):
        assert heading in card


@pytest.mark.parametrize("load", DIGITS)
def test_reads_digits_it_has_never_seen(load) -> None:
    name = name_of(load)
    samples, model = data.digits("test"), load()
    right = (model(samples.inputs).argmax(1) == torch.as_tensor(samples.labels)).float().mean().item()
    assert 100 * right >= float(describe(name)["accuracy_digits_held_out"])
    assert describe(name)["sha256"] == checksum(model.state_dict())


def test_the_cnn_was_good_enough_on_mnist() -> None:
    assert float(describe("digits_cnn")["accuracy_mnist_held_out"]) >= 98.8


def test_finds_faces_it_has_never_seen() -> None:
    samples, model = data.faces("test"), models.faces_cnn()
    right = (model(samples.inputs).argmax(1) == torch.as_tensor(samples.labels)).float().mean().item()
    assert 100 * right >= float(describe("faces_cnn")["accuracy_held_out"]) >= 90
    assert float(describe("faces_cnn")["accuracy_cross_validated"]) >= 90
    assert describe("faces_cnn")["sha256"] == checksum(model.state_dict())


def test_finds_the_face_of_the_astronaut() -> None:
    """The best of all windows of one size lies on it: its middle at 219, 118 or so."""
    photo = data.photos("astronaut").inputs.mean(1, keepdim=True)
    explainer, target = lw.Explainer(models.faces_cnn()), lw.contrast(1, 0)
    *_, found = lw.sliding_window(explainer, photo, target, lw.SimpleTaylor(), side=25, stride=3, scales=(0.25,))
    top, left, bottom, right = found.boxes[found.values.argmax()]
    assert ((top + bottom) / 2, (left + right) / 2) == pytest.approx((118, 219), abs=25)


def test_knows_the_cat_and_the_horse_of_other_photographs() -> None:
    samples, model = data.photos(), models.photos_cnn()
    labels = torch.as_tensor(samples.labels)
    assert torch.equal(model(samples.inputs).argmax(1)[labels >= 0], labels[labels >= 0])
    assert describe("photos_cnn")["stored"] == "float16"


def test_finds_the_cat_in_a_whole_photograph() -> None:
    photo, explainer = data.photos("chelsea").inputs, lw.Explainer(models.photos_cnn())
    (found, *_) = lw.sliding_window(explainer, photo, None, lw.SimpleTaylor(), side=32, scales=(0.15, 0.12))
    assert CLASSES[found.target] == "cat"


def test_the_photograph_network_is_a_small_resnet() -> None:
    kinds = [type(module) for module in models.photos_cnn().modules()]
    assert kinds.count(ResidualBlock) == 3 and kinds.count(nn.BatchNorm2d) == 6
    assert kinds[-3:] == [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]
    assert models.photos_cnn()(torch.rand(1, 3, 45, 70)).shape == (1, 10)


def test_the_order_in_training_is_the_order_in_use() -> None:
    block = models.photos_cnn().blocks[1]
    assert isinstance(block, ResidualBlock)
    x = torch.rand(2, 32, 15, 15)
    expected = block(x)
    block.training = True  # the order of training, while its BatchNorm stays in eval mode
    torch.testing.assert_close(block(x), expected)


def test_the_photograph_network_was_good_enough_on_cifar10() -> None:
    said = describe("photos_cnn")
    assert float(said["accuracy_test"]) >= 88
    log = (FOLDER / "photos_cnn.txt").read_text(encoding="utf-8").splitlines()
    assert log[0] == said["command"]
    assert log[-1].startswith(f"test: right 0.{said['accuracy_test'].replace('.', '')[:4]} of 10,000")


CIFAR10 = Path(__file__).parents[3] / "shared/data/cifar10/test.npz"


@pytest.mark.slow
@pytest.mark.skipif(
    not CIFAR10.is_file(), reason="CIFAR-10 is not part of the project: ../shared/data/cifar10/test.npz"
)
def test_the_photograph_network_on_cifar10() -> None:
    pictures, labels = read_cifar10(CIFAR10)
    right = (guess(models.photos_cnn(), pictures) == labels).double().mean().item()
    assert 100 * right == pytest.approx(float(describe("photos_cnn")["accuracy_test"]), abs=0.05)


def test_the_photograph_network_explains_without_loss() -> None:
    """BatchNorm folds, relevance is conserved but for what biases keep."""
    explanation = lw.Explainer(models.photos_cnn()).explain(data.photos().inputs[:1], 3, lw.LRP(lw.epsilon()))
    assert explanation.fallbacks == ()
    assert all(layer.closes for layer in explanation.layers)
    assert not any("norm" in layer.name and layer.op == "batch_norm" for layer in explanation.layers)
