"""Train the decoder of digits: python -m lrp_widgets.demo.training.train_generators --mnist PATH."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrp_widgets.demo.data.digits import held_out
from lrp_widgets.demo.data.digits import load as digits
from lrp_widgets.demo.generators.digits_vae import CODE, DigitsDecoder
from lrp_widgets.demo.training.train_digits import read_mnist
from lrp_widgets.demo.weights import FOLDER, checksum, save_weights

__all__ = ["DigitsEncoder", "elbo", "main", "seen_and_unseen", "train"]

EPOCHS, BATCH, PEAK_RATE = 200, 100, 2e-3


class DigitsEncoder(nn.Module):
    """The other half of the autoencoder, 784-400-24: means and log variances of the codes. Needed to train alone."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 2 * CODE))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.layers(x).chunk(2, 1)
        return mean, log_variance.clamp(-10, 10)


def elbo(encoder: nn.Module, decoder: nn.Module, x: Tensor, random: torch.Generator) -> Tensor:
    """The evidence lower bound of each input in nats, (n,): what a variational autoencoder makes large."""
    mean, log_variance = encoder(x)
    z = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=random)
    made = decoder(z).clamp(1e-6, 1 - 1e-6)
    reconstruction = F.binary_cross_entropy(made, x, reduction="none").flatten(1).sum(1)
    distance = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return -reconstruction - distance


def train(x: Tensor, epochs: int, seed: int) -> tuple[DigitsEncoder, DigitsDecoder]:
    """Both halves, fitted to pictures (n, 1, 28, 28) in [0, 1]."""
    torch.manual_seed(seed)
    encoder, decoder = DigitsEncoder(), DigitsDecoder()
    random = torch.Generator().manual_seed(seed)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=PEAK_RATE)
    steps = epochs * math.ceil(len(x) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=PEAK_RATE, total_steps=steps)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x), generator=random).split(BATCH):
            loss = -elbo(encoder, decoder, x[rows], random).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        if (epoch + 1) % 10 == 0 or epoch + 1 == epochs:
            print(f"epoch {epoch + 1}/{epochs}: bound {-total / len(x):.2f} nats", flush=True)
    return encoder.eval(), decoder.eval()


def seen_and_unseen(mnist: Path) -> tuple[Tensor, Tensor]:
    """The pictures that the demo networks were trained on, and those of both sources that they have never seen."""
    pictures, _ = read_mnist(mnist)
    unseen = torch.from_numpy(held_out(len(pictures)))
    return (
        torch.cat([pictures[~unseen], digits("train").inputs]),
        torch.cat([pictures[unseen], digits("test").inputs]),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Train the decoder; write digits_vae.safetensors and digits_vae.md."""
    parser = argparse.ArgumentParser(prog="python -m lrp_widgets.demo.training.train_generators", description=__doc__)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of t10k-images-idx3-ubyte.gz and its labels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: where load() reads)")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)  # sums in one order: a seed gives the same weights however many cores there are
    seen, unseen = seen_and_unseen(options.mnist)
    begin = time.perf_counter()
    encoder, decoder = train(seen, options.epochs, options.seed)
    with torch.no_grad():
        bound = float(elbo(encoder, decoder, unseen, torch.Generator().manual_seed(0)).mean())
        away = float((decoder(encoder(unseen)[0]) - unseen).square().mean().sqrt())
    about = {
        "architecture": " > ".join(str(module) for module in decoder.modules() if not list(module.children())),
        "seed": str(options.seed),
        "epochs": str(options.epochs),
        "bound_held_out": f"{bound:.2f}",
        "error_held_out": f"{away:.4f}",
        "command": "python -m lrp_widgets.demo.training.train_generators --mnist path/to/mnist"
        f" --seed {options.seed} --epochs {options.epochs}",
    }
    options.out.mkdir(parents=True, exist_ok=True)
    save_weights(decoder, options.out / "digits_vae.safetensors", about)
    (options.out / "digits_vae.md").write_text(_card(decoder, about, len(seen), len(unseen)), encoding="utf-8")
    print(f"digits_vae: bound {bound:.2f} nats, error {away:.4f}, {time.perf_counter() - begin:.0f} s")


def _card(decoder: nn.Module, about: dict[str, str], seen: int, unseen: int) -> str:
    numbers = sum(value.numel() for value in decoder.parameters())
    return f"""# digits_vae

{(type(decoder).__doc__ or "").splitlines()[0]}

| | |
|---|---|
| parameters | {numbers:,} (float32) |
| evidence lower bound, held out ({unseen:,} pictures) | {about["bound_held_out"]} nats |
| root mean square error of a pixel, held out | {about["error_held_out"]} |
| seed | {about["seed"]} |
| sha256 of the tensors | `{checksum(decoder.state_dict())}` |

## Architecture

```
{decoder}
```

Input: codes (n, {CODE}), drawn from N(0, 1). Output: (n, 1, 28, 28) in [0, 1], bright ink on dark paper.

## Data

The {seen:,} pictures that digits_cnn and digits_mlp were trained on: of MNIST's *test* set and of scikit-learn's
handwritten digits, brought to 28×28 as `demo.data.digits` does it. No labels were used. The {unseen:,} pictures that
are held out chose nothing; they were scored once, after the last step.

## Made by

```
{about["command"]}
```

Adam, one-cycle rate with peak {PEAK_RATE}, batches of {BATCH}, {about["epochs"]} epochs.
The encoder, 784-400-{2 * CODE}, is not kept.

## Intended use and limits

A generator for prototypes in code space, for demonstrations, teaching and tests. Not every code is a digit: between two
digits lie pictures that are neither, and far from the origin (‖z‖ much above √{CODE}) pictures that are nothing.
Its digits are smoother than handwriting is.
"""


if __name__ == "__main__":
    main()
