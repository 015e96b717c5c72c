"""Fit the experts of digits and write their numbers: python -m lrp_widgets.demo.training.train_experts --mnist PATH."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lrp_widgets.demo.experts.digits_gaussian import DIRECTIONS, Factors
from lrp_widgets.demo.experts.digits_rbm import HIDDEN, Machine
from lrp_widgets.demo.training.train_generators import seen_and_unseen
from lrp_widgets.demo.weights import FOLDER, checksum, save_weights
from lrp_widgets.prototypes.experts import RBM, Gaussian

__all__ = ["factors", "machine", "main"]

EPOCHS = 100  # of the machine


def factors(x: Tensor) -> Factors:
    """Mean and covariance of pictures (n, 1, 28, 28), shrunk by Ledoit and Wolf, in their first directions."""
    fitted = Gaussian.fit(x)
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(fitted.tensors["precision"]))
    values, vectors = torch.linalg.eigh(covariance)  # in rising order
    rest = values[:-DIRECTIONS].mean()
    made = Factors()
    made.mean.copy_(fitted.tensors["mean"])
    made.factors.copy_(vectors[:, -DIRECTIONS:] * (values[-DIRECTIONS:] - rest).clamp(min=0).sqrt())
    made.deviation.copy_(rest.sqrt())
    return made


def machine(x: Tensor, epochs: int, seed: int) -> Machine:
    """A machine trained on pictures (n, 1, 28, 28) by persistent contrastive divergence."""
    fitted, made = RBM.fit(x, hidden=HIDDEN, epochs=epochs, seed=seed), Machine()
    for name, tensor in made.named_buffers():
        tensor.copy_(fitted.tensors[name])
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Fit both; write <name>.safetensors and <name>.md of each."""
    parser = argparse.ArgumentParser(prog="python -m lrp_widgets.demo.training.train_experts", description=__doc__)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of t10k-images-idx3-ubyte.gz and its labels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: where load() reads)")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)  # sums in one order: a seed gives the same numbers however many cores there are
    seen, _ = seen_and_unseen(options.mnist)
    command = (
        "python -m lrp_widgets.demo.training.train_experts --mnist path/to/mnist"
        f" --seed {options.seed} --epochs {options.epochs}"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    for name, made, text in (
        ("digits_gaussian", factors(seen), GAUSSIAN),
        ("digits_rbm", machine(seen, options.epochs, options.seed), MACHINE),
    ):
        about = {"seed": str(options.seed), "epochs": str(options.epochs), "command": command}
        save_weights(made, options.out / f"{name}.safetensors", about, half=True)
        card = _card(name, made, text.format(epochs=options.epochs), len(seen), about)
        (options.out / f"{name}.md").write_text(card, encoding="utf-8")
        print(f"{name}: written", flush=True)


GAUSSIAN = f"""log p(x) = −s ½ (x − μ)ᵀ Σ⁻¹ (x − μ), with Σ = W Wᵀ + σ² 1: the covariance of the pictures, shrunk by
Ledoit and Wolf (2004), in its {DIRECTIONS} directions of largest variance; the other directions share one variance.
"""

MACHINE = f"""log p(x) = s (Σ_j log(1 + exp(w_jᵀx + b_j)) − ½ (x − μ)ᵀ Σ⁻¹ (x − μ)), {HIDDEN} units, a diagonal Σ.
Trained by persistent contrastive divergence (Tieleman 2008), {{epochs}} epochs in batches of 100.
"""


def _card(name: str, made: nn.Module, text: str, seen: int, about: dict[str, str]) -> str:
    kept = {key: value.half() for key, value in made.state_dict().items()}
    numbers = sum(value.numel() for value in kept.values())
    return f"""# {name}

{(type(made).__doc__ or "").splitlines()[0]}

{text}
| | |
|---|---|
| numbers | {numbers:,} (float16) |
| sha256 of the tensors | `{checksum(kept)}` |

## Data

The {seen:,} pictures that digits_cnn and digits_mlp were trained on: of MNIST's *test* set and of scikit-learn's
handwritten digits, brought to 28×28 as `demo.data.digits` does it. No labels were used.

## Made by

```
{about["command"]}
```

## Intended use and limits

What keeps prototypes plausible (lw.experts), for demonstrations, teaching and tests. It says how likely a picture is
among the digits, but for a constant; it does not know which digit it is, and its log p is no calibrated density.
"""


if __name__ == "__main__":
    main()
