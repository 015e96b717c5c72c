"""Train the photograph network, write log and card: python -m lrp_widgets.demo.training.train_photos --cifar10 PATH."""

from __future__ import annotations

import argparse
import io
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from lrp_widgets.demo.data.photos import CLASSES
from lrp_widgets.demo.models.photos_cnn import PhotosCNN
from lrp_widgets.demo.training.train_digits import Set, percent
from lrp_widgets.demo.weights import FOLDER, checksum, save_weights

__all__ = ["PHASES", "Phase", "guess", "main", "read_cifar10", "start", "train", "write"]

BATCH, PEAK_RATE, MOMENTUM, SMOOTHING = 256, 0.375, 0.85, 0.1
CLASSIFIER_RATE = 0.25  # times the rate: the dense layer wants less
LOOK_EVERY = 20  # steps between two looks of the slow weights at the fast ones


@dataclass(frozen=True)
class Phase:
    """A part of the training; all that changes during it goes by the share of it that is done.

    sides: (until when, pixels): fewer pixels are less work.  rate: corners (when, share of PEAK_RATE) of its course.
    biases: times the rate for those of BatchNorm.  trust: how steeply the slow weights come to keep to themselves.
    shift: how far pictures are moved, in pixels.  hole: the side of the square that is made grey; 0: none.
    """

    epochs: int
    sides: tuple[tuple[float, int], ...]
    rate: tuple[tuple[float, float], ...]
    decay: float
    biases: float
    trust: float
    shift: int = 2
    hole: int = 0


PHASES = (
    Phase(8, ((0.5, 24), (0.75, 28), (1.0, 32)), ((0.0, 0.2), (0.23, 1.0), (1.0, 0.07)), 1.33e-3, 64.0, 3.0),
    Phase(4, ((1.0, 32),), ((0.0, 0.25), (1.0, 0.002)), 7e-4, 16.0, 0.0),
    Phase(10, ((1.0, 32),), ((0.0, 0.15), (0.05, 0.475), (1.0, 0.002)), 1.33e-3, 32.0, 0.0, shift=4, hole=8),
    Phase(15, ((1.0, 32),), ((0.0, 0.1), (0.03, 0.45), (1.0, 0.001)), 1.33e-3, 32.0, 0.0, shift=4, hole=6),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, test once, and write photos_cnn.safetensors, .txt (the log) and .md (the card)."""
    parser = argparse.ArgumentParser(prog="python -m lrp_widgets.demo.training.train_photos", description=__doc__)
    parser.add_argument("--cifar10", type=Path, required=True, help="folder of train.npz and test.npz")
    parser.add_argument("--seed", type=int, default=0)
    usual = [phase.epochs for phase in PHASES]
    parser.add_argument("--epochs", type=int, nargs=len(PHASES), default=usual, help=f"of each phase, default: {usual}")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: where load() reads)")
    options = parser.parse_args(argv)
    data, test = read_cifar10(options.cifar10 / "train.npz"), read_cifar10(options.cifar10 / "test.npz")
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    torch.manual_seed(options.seed)
    model = PhotosCNN()
    phases = [replace(phase, epochs=epochs) for phase, epochs in zip(PHASES, options.epochs, strict=True)]
    train(model, data, phases, options.seed, say)
    write(model, test, len(data[0]), lines, options.seed, options.epochs, options.out)


def read_cifar10(path: Path) -> Set:
    """Pictures uint8 (n, 3, 32, 32) and labels (n,) of one part of CIFAR-10.

    path: an .npz with the arrays jpeg (all files end to end), offset (n + 1) and label (n).
    Raises ValueError where it is not there or holds something else.
    """
    if not path.is_file():
        raise ValueError(f"--cifar10 must be a folder that holds {path.name}, got {path.parent} without it.")
    with np.load(path) as arrays:
        if missing := {"jpeg", "offset", "label"} - set(arrays):
            raise ValueError(f"{path} must hold jpeg, offset and label, got no {', '.join(sorted(missing))}.")
        jpeg, offset, label = arrays["jpeg"], arrays["offset"].tolist(), arrays["label"]
    pictures = np.empty((len(label), 32, 32, 3), np.uint8)
    for row, (begin, end) in enumerate(pairwise(offset)):
        with Image.open(io.BytesIO(jpeg[begin:end].tobytes())) as picture:
            pictures[row] = np.asarray(picture.convert("RGB"))
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(label).long()


def train(model: PhotosCNN, data: Set, phases: Sequence[Phase], seed: int, say: Callable[[str], None] = print) -> None:
    """Fit `model` to `data` in place, as Jordan (2024) trains on CIFAR-10 but smaller. Leaves it in eval mode."""
    random = torch.Generator().manual_seed(seed)
    n = len(data[0])
    start(model, data[0][:5000])
    slow = {key: value.clone() for key, value in model.state_dict().items() if value.is_floating_point()}
    # Every picture is seen as often one way round as the other, not at random.
    flipped = torch.rand(n, generator=random) < 0.5
    model.train()
    epoch, epochs = 0, sum(phase.epochs for phase in phases)
    for phase in phases:
        steps, step = phase.epochs * math.ceil(n / BATCH), 0
        optimizer = torch.optim.SGD(_groups(model, phase), lr=PEAK_RATE, momentum=MOMENTUM, nesterov=True)
        course = partial(np.interp, xp=[when for when, _ in phase.rate], fp=[share for _, share in phase.rate])
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda at, c=course, of=steps: float(c(at / of)))
        for part in range(phase.epochs):
            total, right, begin = 0.0, 0, time.perf_counter()
            flipped = ~flipped
            side = next(side for until, side in phase.sides if part / phase.epochs < until)
            for pictures, labels in _batches(data, flipped, side, phase, random):
                scores = model(pictures.contiguous(memory_format=torch.channels_last))
                loss = F.cross_entropy(scores, labels, label_smoothing=SMOOTHING)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                step += 1
                if step % LOOK_EVERY == 0 or step == steps:
                    _look(model, slow, 1.0 if step == steps else 0.95**5 * (step / steps) ** phase.trust)
                total, right = total + loss.item() * len(labels), right + int((scores.argmax(1) == labels).sum())
            epoch, seconds = epoch + 1, time.perf_counter() - begin
            say(f"epoch {epoch}/{epochs}: {side} px, loss {total / n:.4f}, right {right / n:.4f}, {seconds:.0f} s")
    model.eval()


@torch.no_grad()
def start(model: PhotosCNN, pictures: Tensor) -> None:
    """Whitening in the first convolution, frozen; convolutions that begin as the identity; norms of factor 1."""
    patches = F.unfold(pictures.float() / 255, 2, stride=2).transpose(1, 2).flatten(0, 1).double()
    mean = patches.mean(0)
    values, vectors = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
    white = (vectors / (values + 3e-5).sqrt()).T
    white = torch.cat([white, -white])
    model.whiten.weight.copy_(white.view_as(model.whiten.weight))
    model.whiten.weight.requires_grad_(False)
    assert model.whiten.bias is not None
    model.whiten.bias.copy_(-white @ mean)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module is not model.whiten:
            nn.init.dirac_(module.weight[: module.in_channels])
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.requires_grad_(False)  # above 0, so that the order with max pooling changes nothing


@torch.no_grad()
def guess(model: nn.Module, pictures: Tensor) -> Tensor:
    """The class of each picture (uint8), by its top score."""
    return torch.cat([model(part.float() / 255).argmax(1) for part in pictures.split(500)])


def write(
    model: PhotosCNN, test: Set, trained_on: int, lines: list[str], seed: int, epochs: Sequence[int], out: Path
) -> None:
    """Round to half precision, test that once, and write the three files."""
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.half())
    right = (guess(model, test[0]) == test[1]).double()
    about = {
        "architecture": " > ".join(str(module) for module in model.modules() if not list(module.children())),
        "seed": str(seed),
        "epochs": " ".join(map(str, epochs)),
        "accuracy_test": percent(float(right.mean())),
        "command": f"python -m lrp_widgets.demo.training.train_photos --cifar10 path/to/cifar10 --seed {seed}"
        f" --epochs {' '.join(map(str, epochs))}",
    }
    lines.append(f"test: right {float(right.mean()):.4f} of {len(right):,}")
    print(lines[-1], flush=True)
    each = ", ".join(
        f"{name} {100 * float(right[test[1] == i].mean()):.0f}"
        for i, name in enumerate(CLASSES)
        if bool((test[1] == i).any())
    )
    out.mkdir(parents=True, exist_ok=True)
    save_weights(model, out / "photos_cnn.safetensors", about, half=True)
    (out / "photos_cnn.txt").write_text("\n".join([about["command"], *lines]) + "\n", encoding="utf-8")
    (out / "photos_cnn.md").write_text(_card(model, about, each, (trained_on, len(right))), encoding="utf-8")


@torch.no_grad()
def _look(model: nn.Module, slow: dict[str, Tensor], keep: float) -> None:
    """Lookahead (Zhang et al. 2019): the slow weights come nearer, and the fast ones go on from there."""
    for key, value in model.state_dict().items():
        if key in slow:
            value.copy_(slow[key].lerp_(value, 1 - keep))


def _groups(model: PhotosCNN, phase: Phase) -> list[dict]:
    """Biases of norms, the dense layer, the rest: each with its rate, decay in proportion."""
    biases = [value for key, value in model.named_parameters() if "norm" in key and value.requires_grad]
    dense = list(model.classifier.parameters())
    taken = {id(value) for value in (*biases, *dense)}
    rest = [value for value in model.parameters() if value.requires_grad and id(value) not in taken]
    return [
        {"params": biases, "lr": PEAK_RATE * phase.biases, "weight_decay": phase.decay / phase.biases},
        {"params": dense, "lr": PEAK_RATE * CLASSIFIER_RATE, "weight_decay": phase.decay},
        {"params": rest, "lr": PEAK_RATE, "weight_decay": phase.decay},
    ]


def _batches(data: Set, flipped: Tensor, side: int, phase: Phase, random: torch.Generator) -> Iterator[Set]:
    """The whole set once, shuffled, moved, mirrored as told, side × side pixels, with a hole in some."""
    shift, line = phase.shift, torch.arange(32)
    for rows in torch.randperm(len(data[0]), generator=random).split(BATCH):
        pictures = data[0][rows].float() / 255
        pictures = torch.where(flipped[rows, None, None, None], pictures.flip(3), pictures)
        wide = F.pad(pictures, (shift,) * 4, mode="reflect")
        right, down = torch.randint(2 * shift + 1, (2, len(rows), 1), generator=random) + line
        pictures = wide[torch.arange(len(rows))[:, None, None], :, down[:, :, None], right[:, None, :]]
        pictures = pictures.permute(0, 3, 1, 2)
        if phase.hole:  # around any pixel, so that some of it may lie outside
            down, right = torch.randint(33, (2, len(rows), 1), generator=random) - phase.hole // 2
            rows_of, columns_of = ((line >= at) & (line < at + phase.hole) for at in (down, right))
            pictures = torch.where((rows_of[:, :, None] & columns_of[:, None])[:, None], 0.45, pictures)
        if side != 32:
            pictures = F.interpolate(pictures, size=side, mode="bilinear", antialias=True, align_corners=False)
        yield pictures, data[1][rows]


def _card(model: nn.Module, about: dict[str, str], each: str, counts: tuple[int, int]) -> str:
    """The model card, in Markdown; each: accuracy by class; counts: pictures trained on and tested on."""
    stored = {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
    numbers = sum(value.numel() for value in model.parameters())
    return f"""# photos_cnn

{(type(model).__doc__ or "").splitlines()[0]}

| | |
|---|---|
| parameters | {numbers:,} (stored as float16, used as float32) |
| accuracy, CIFAR-10's test part ({counts[1]:,} pictures) | {about["accuracy_test"]} % |
| by class, in percent | {each} |
| seed | {about["seed"]} |
| sha256 of the stored tensors | `{checksum(stored)}` |

## Architecture

```
{model}
```

Input: (n, 3, 32, 32) in [0, 1], RGB. Output: ten scores before softmax: {", ".join(CLASSES)}.
In eval mode each block is convolution, BatchNorm, ReLU, max pooling, so that BatchNorm folds into the convolution.

## Data

CIFAR-10: its training part ({counts[0]:,} pictures, saved as JPEG) to train, its test part to test, once, after the
last step: it chose no settings. The pictures are mirrored and moved by some pixels, smaller in the first epochs, and
have a hole in the last ones. None of them is part of this package; `demo.data.photos` shows other photographs, which
the network has never seen.

## Made by

```
{about["command"]}
```

SGD with Nesterov momentum {MOMENTUM}, batches of {BATCH}, rate {PEAK_RATE} at its peak, label smoothing
{SMOOTHING}, whitening in the first convolution, lookahead: Jordan (2024), "94% on CIFAR-10 in 3.29 seconds on a single
GPU", made smaller. photos_cnn.txt is the log. A run on several cores does not give the same bits twice.

## Intended use and limits

Made to be explained: a real colour network, small enough to explain many times a second. Not for recognizing things.

- It knows ten classes at 32×32 and names one of them on anything: a rocket, a cup, a face.
- Photographs that are framed otherwise than CIFAR-10's (a face that fills the picture, a drawing) often fool it.
- Its scores are not calibrated, and it was not hardened against adversarial inputs.
- CIFAR-10 comes from 80 Million Tiny Images, which was withdrawn for its captions; these ten are harmless things.
"""


if __name__ == "__main__":
    main()
