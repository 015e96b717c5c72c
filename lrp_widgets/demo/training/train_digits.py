"""Train the digit networks and write their weights: python -m lrp_widgets.demo.training.train_digits --mnist PATH."""

from __future__ import annotations

import argparse
import gzip
import math
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrp_widgets.demo.data.digits import held_out
from lrp_widgets.demo.data.digits import load as digits
from lrp_widgets.demo.models.digits_cnn import DigitsCNN, SumPool2d
from lrp_widgets.demo.models.digits_mlp import DigitsMLP
from lrp_widgets.demo.weights import FOLDER, checksum, save_weights

__all__ = ["CHOICES", "Set", "accuracy", "augment", "main", "percent", "read_mnist", "start", "train"]

CHOICES: dict[str, Callable[[], nn.Module]] = {"cnn": DigitsCNN, "mlp": DigitsMLP}
EPOCHS = {"cnn": 40, "mlp": 120}  # each some minutes on one core
BATCH, PEAK_RATE, DECAY = 64, 2e-3, 0.01

Set = tuple[Tensor, Tensor]  # pictures (n, 1, 28, 28) in [0, 1] and labels (n,)


def main(argv: Sequence[str] | None = None) -> None:
    """Train what the command line asks for; write <name>.safetensors and <name>.md for each network."""
    parser = argparse.ArgumentParser(prog="python -m lrp_widgets.demo.training.train_digits", description=__doc__)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of t10k-images-idx3-ubyte.gz and its labels")
    parser.add_argument("--model", choices=(*CHOICES, "both"), default="both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help=f"default: {EPOCHS}")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: where load() reads)")
    options = parser.parse_args(argv)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order: a seed gives the same weights however many cores there are
    try:
        for name in CHOICES if options.model == "both" else (options.model,):
            _make(name, options.mnist, options.seed, options.epochs or EPOCHS[name], options.out)
    finally:
        torch.set_num_threads(threads)


def read_mnist(folder: Path) -> Set:
    """MNIST's test pictures and labels from their two IDX files; ValueError where a file is not what its name says."""
    pictures = _read_idx(folder / "t10k-images-idx3-ubyte.gz", dimensions=3)
    labels = _read_idx(folder / "t10k-labels-idx1-ubyte.gz", dimensions=1)
    if len(pictures) != len(labels) or pictures.shape[1:] != (28, 28):
        raise ValueError(
            f"The MNIST files in {folder} must hold pictures of 28×28 and one label each, "
            f"got pictures {pictures.shape} and labels {labels.shape}. Fetch the two files again."
        )
    return torch.from_numpy(pictures).float()[:, None] / 255, torch.from_numpy(labels).long()


def augment(pictures: Tensor, random: torch.Generator, border: str = "zeros") -> Tensor:
    """Each picture turned by up to 12°, slanted, scaled by up to 12 % and moved by up to 2.5 pixels.

    border: what lies around a picture, as in torch's grid_sample.
    """
    n, side = len(pictures), pictures.shape[-1]
    turn, slant, wide, high, right, down = 2 * torch.rand(6, n, generator=random) - 1
    turn, slant, wide, high = turn * math.radians(12), slant * 0.15, 1 + 0.12 * wide, 1 + 0.12 * high
    theta = torch.stack(
        [
            torch.stack([wide * turn.cos(), slant - turn.sin(), right * 5 / side], 1),
            torch.stack([turn.sin(), high * turn.cos(), down * 5 / side], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode=border, align_corners=False)


def train(
    model: nn.Module,
    data: Set,
    epochs: int,
    seed: int,
    say: Callable[[str], None] = print,
    changed: Callable[[Tensor, torch.Generator], Tensor] = augment,
) -> None:
    """Fit `model` to `data`, each picture `changed` anew; every bias is kept ≤ 0. Leaves the model in eval mode."""
    random = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(data[0]) / BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=PEAK_RATE, total_steps=steps)
    biases = [value for name, value in model.named_parameters() if name.endswith("bias")]
    model.train()
    for epoch in range(epochs):
        total, start = 0.0, time.perf_counter()
        for pictures, labels in _batches(data, random):
            loss = F.cross_entropy(model(changed(pictures, random)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for bias in biases:
                    bias.clamp_(max=0)
            total += loss.item() * len(labels)
        say(f"epoch {epoch + 1}/{epochs}: loss {total / len(data[0]):.4f}, {time.perf_counter() - start:.1f} s")
    model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, data: Set) -> float:
    """The share of pictures whose top score is their label."""
    right = sum(int((model(x).argmax(1) == y).sum()) for x, y in zip(*(t.split(500) for t in data), strict=True))
    return right / len(data[0])


def _make(name: str, mnist: Path, seed: int, epochs: int, out: Path) -> None:
    """Train one network, measure it once on what it has not seen, write its two files."""
    pictures, labels = read_mnist(mnist)
    unseen = torch.from_numpy(held_out(len(pictures)))
    seen_digits, unseen_digits = _pair("train"), _pair("test")
    data = torch.cat([pictures[~unseen], seen_digits[0]]), torch.cat([labels[~unseen], seen_digits[1]])
    torch.manual_seed(seed)
    model = CHOICES[name]()
    start(model)
    begin = time.perf_counter()
    train(model, data, epochs, seed, say=lambda line: print(f"{name} {line}", flush=True))
    on_mnist = accuracy(model, (pictures[unseen], labels[unseen]))
    on_digits = accuracy(model, unseen_digits)
    about = {
        "architecture": " > ".join(str(module) for module in model.modules() if not list(module.children())),
        "seed": str(seed),
        "epochs": str(epochs),
        "accuracy_mnist_held_out": percent(on_mnist),
        "accuracy_digits_held_out": percent(on_digits),
        "command": "python -m lrp_widgets.demo.training.train_digits --mnist path/to/mnist"
        f" --model {name} --seed {seed} --epochs {epochs}",
    }
    file = f"digits_{name}"
    out.mkdir(parents=True, exist_ok=True)
    save_weights(model, out / f"{file}.safetensors", about)
    counts = (int((~unseen).sum()), int(unseen.sum()), len(seen_digits[0]), len(unseen_digits[0]))
    (out / f"{file}.md").write_text(_card(file, model, about, counts), encoding="utf-8")
    print(
        f"{file}: MNIST held out {percent(on_mnist)} %, scikit-learn held out {percent(on_digits)} %, "
        f"{time.perf_counter() - begin:.0f} s"
    )


def start(model: nn.Module) -> None:
    """He initialization without bias; a layer behind a sum pooling starts as if the pooling took the mean."""
    pooled = 1
    for module in model.modules():
        if isinstance(module, SumPool2d):
            pooled = module.size**2  # summed neighbours look alike, so the sum grows by nearly their number
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            with torch.no_grad():
                module.weight /= pooled
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            pooled = 1


def _batches(data: Set, random: torch.Generator) -> Iterator[Set]:
    """The whole set once, shuffled."""
    for rows in torch.randperm(len(data[0]), generator=random).split(BATCH):
        yield data[0][rows], data[1][rows]


def _pair(split: str) -> Set:
    samples = digits(split)
    return samples.inputs, torch.as_tensor(samples.labels)


def percent(share: float) -> str:
    """In percent, rounded down: what is stated is reached."""
    return f"{math.floor(share * 10_000) / 100:.2f}"


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The bytes of a gzipped IDX file, in its shape."""
    if not path.is_file():
        raise ValueError(f"--mnist must be a folder that holds {path.name}, got {path.parent} without it.")
    try:
        content = gzip.decompress(path.read_bytes())
        shape = struct.unpack_from(f">{dimensions}I", content, 4)
        whole = content[:4] == bytes([0, 0, 8, dimensions]) and len(content) == 4 + 4 * dimensions + math.prod(shape)
    except (OSError, EOFError, struct.error, ValueError) as fault:
        raise ValueError(f"{path} must be a gzipped IDX file, got {fault}. Fetch it again.") from fault
    if not whole:
        raise ValueError(f"{path} must be an IDX file of bytes in {dimensions} dimensions. Fetch it again.")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()


def _card(file: str, model: nn.Module, about: dict[str, str], counts: tuple[int, int, int, int]) -> str:
    """The model card, in Markdown; counts: pictures trained on and held out of MNIST, then of scikit-learn's."""
    mnist_seen, mnist_unseen, digits_seen, digits_unseen = (f"{count:,}" for count in counts)
    numbers = sum(value.numel() for value in model.parameters())
    return f"""# {file}

{(type(model).__doc__ or "").splitlines()[0]}

| | |
|---|---|
| parameters | {numbers:,} (float32) |
| accuracy, MNIST held out ({mnist_unseen} pictures) | {about["accuracy_mnist_held_out"]} % |
| accuracy, scikit-learn digits held out ({digits_unseen} pictures) | {about["accuracy_digits_held_out"]} % |
| seed | {about["seed"]} |
| sha256 of the tensors | `{checksum(model.state_dict())}` |

## Architecture

```
{model}
```

Input: (n, 1, 28, 28) in [0, 1], bright ink on dark paper. Output: ten scores, one a digit, before softmax.
Every bias is exactly ≤ 0: it is clamped after every step of the training.

## Data

- MNIST, its *test* set: {mnist_seen} pictures to train, {mnist_unseen} held out. The 60,000 pictures that MNIST
  keeps for training were not used, so these accuracies do not compare with published ones.
- scikit-learn's handwritten digits (UCI, 8×8), brought to 28×28 as `demo.data.digits` does it: {digits_seen} to train,
  {digits_unseen} held out (its "test" split).

Both are split by a fixed seed, the same for every training seed. Training pictures are turned by up to 12°, slanted,
scaled by up to 12 % and moved by up to 2.5 pixels, anew in every epoch. The held-out pictures chose nothing: no
stopping, no settings; they were scored once, after the last step.

## Made by

```
{about["command"]}
```

AdamW, one-cycle rate with peak {PEAK_RATE}, batches of {BATCH}, {about["epochs"]} epochs.

## Intended use and limits

Made to be explained: a small network for demonstrations, teaching and tests of explanation methods. Not for reading
real forms, cheques or post codes.

- It knows single, upright, roughly centred digits. On anything else it still names a digit.
- Neither split is by writer: hands that are held out may also have written training pictures.
- Its scores are not calibrated, and it was not hardened against adversarial inputs.
"""


if __name__ == "__main__":
    main()
