"""Train the face detector and write its weights and card: python -m lrp_widgets.demo.training.train_faces."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from lrp_widgets.demo.data.digits import held_out
from lrp_widgets.demo.data.faces import load as faces
from lrp_widgets.demo.installed import file_of
from lrp_widgets.demo.models.faces_cnn import FacesCNN
from lrp_widgets.demo.training.train_digits import Set, accuracy, augment, percent, start, train
from lrp_widgets.demo.weights import FOLDER, checksum, save_weights

__all__ = ["SCENES", "changed", "false_alarms", "fit", "folds", "main", "windows"]

FOLDS, EPOCHS = 5, 6
FACES, OTHERS, WINDOWS, HARD = 15, 4, 2000, 600  # how often each picture counts; windows of scenes, and hard ones
SIDE, SEARCHED = 25, 6000
# Photographs and micrographs without a face. The astronaut and the camera man are for looking at the result.
SCENES = (
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/brick.png"),
    ("skimage", "data/grass.png"),
    ("skimage", "data/gravel.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/ihc.png"),
    ("skimage", "data/page.png"),
    ("skimage", "data/moon.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Five fits, each tested on what it has not seen; the first of them ships. Writes faces_cnn.safetensors and .md."""
    parser = argparse.ArgumentParser(prog="python -m lrp_widgets.demo.training.train_faces", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each half of the training")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: where load() reads)")
    options = parser.parse_args(argv)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order: a seed gives the same weights however many cores there are
    try:
        _make(options.seed, options.epochs, options.out)
    finally:
        torch.set_num_threads(threads)


def folds(n: int, parts: int = FOLDS) -> list[np.ndarray]:
    """`parts` boolean masks that part n rows; the first is the one that demo.data.faces holds out."""
    first = held_out(n)
    rest = np.random.RandomState(1).permutation(np.flatnonzero(~first))
    masks = [first]
    for part in np.array_split(rest, parts - 1):
        masks.append(np.isin(np.arange(n), part))
    return masks


def windows(scenes: Sequence[Tensor], count: int, random: torch.Generator) -> Tensor:
    """(count, 1, 25, 25): squares of any size anywhere in the scenes, each pixel the mean of the area it covers."""
    crops = []
    for number in range(count):
        scene = scenes[number % len(scenes)]
        place = torch.rand(3, generator=random).tolist()
        longest = min(scene.shape[-2:])
        side = round(SIDE * (longest / SIDE) ** place[0])
        top, left = (int(at * (length - side + 1)) for at, length in zip(place[1:], scene.shape[-2:], strict=True))
        crops.append(F.interpolate(scene[..., top : top + side, left : left + side], size=SIDE, mode="area"))
    return torch.cat(crops)


def changed(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Turned, scaled and moved a little, half of them mirrored; contrast and brightness drawn anew."""
    n = len(pictures)
    mirrored = torch.rand(n, generator=random) < 0.5
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
    pictures = augment(pictures, random, border="reflection")
    contrast, light = (2 * torch.rand(2, n, 1, 1, 1, generator=random) - 1) * torch.tensor([0.4, 0.15])[
        :, None, None, None, None
    ]
    mean = pictures.mean((1, 2, 3), keepdim=True)
    return (mean + (pictures - mean) * (1 + contrast) + light).clamp(0, 1)


def fit(data: Set, scenes: Sequence[Tensor], epochs: int, seed: int) -> FacesCNN:
    """Train on faces, others and windows of scenes; then again with the windows that looked most like faces."""
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = FacesCNN()
    start(model)
    pictures, labels = data
    times = torch.where(labels == 1, FACES, OTHERS)
    pictures, labels = pictures.repeat_interleave(times, 0), labels.repeat_interleave(times)
    negatives = windows(scenes, WINDOWS, random)
    for half in range(2):
        if half:
            candidates = windows(scenes, SEARCHED, random)
            hard = likeness(model, candidates).argsort(descending=True)[:HARD]
            negatives = torch.cat([negatives, candidates[hard]])
        together = torch.cat([pictures, negatives]), torch.cat([labels, torch.zeros(len(negatives), dtype=torch.long)])
        train(model, together, epochs, seed + half, changed=changed, say=lambda line: print(line, flush=True))
    return model


@torch.no_grad()
def likeness(model: nn.Module, pictures: Tensor) -> Tensor:
    """How much more each looks like a face than like none."""
    scores = torch.cat([model(part) for part in pictures.split(500)])
    return scores[:, 1] - scores[:, 0]


def false_alarms(model: nn.Module, scenes: Sequence[Tensor], seed: int) -> float:
    """The share of windows of scenes that are taken for faces."""
    scores = likeness(model, windows(scenes, SEARCHED, torch.Generator().manual_seed(seed + 100)))
    return float((scores > 0).float().mean())


def _make(seed: int, epochs: int, out: Path) -> None:
    """Fit and test once for each fold; write the files of the first."""
    begin = time.perf_counter()
    every = faces("all")
    pictures, labels = every.inputs, torch.as_tensor(every.labels)
    scenes = [_scene(*place) for place in SCENES]
    results, models = [], []
    for unseen, away in zip(folds(len(pictures)), folds(len(scenes)), strict=True):
        rows = torch.from_numpy(unseen)
        model = fit((pictures[~rows], labels[~rows]), [scenes[i] for i in np.flatnonzero(~away)], epochs, seed)
        right = accuracy(model, (pictures[rows], labels[rows]))
        alarms = false_alarms(model, [scenes[i] for i in np.flatnonzero(away)], seed)
        results.append((round(right * len(unseen[unseen])), int(rows.sum()), alarms))
        models.append(model)
        print(f"fold {len(models)}: right {right:.4f}, false alarms {alarms:.4f}", flush=True)
    right, of = (sum(row[column] for row in results) for column in (0, 1))
    about = {
        "architecture": " > ".join(str(module) for module in models[0].modules() if not list(module.children())),
        "seed": str(seed),
        "epochs": str(epochs),
        "accuracy_held_out": percent(results[0][0] / results[0][1]),
        "accuracy_cross_validated": percent(right / of),
        "false_alarms_held_out": f"{100 * results[0][2]:.2f}",
        "command": f"python -m lrp_widgets.demo.training.train_faces --seed {seed} --epochs {epochs}",
    }
    out.mkdir(parents=True, exist_ok=True)
    save_weights(models[0], out / "faces_cnn.safetensors", about)
    (out / "faces_cnn.md").write_text(_card(models[0], about, results), encoding="utf-8")
    print(f"faces_cnn: cross-validated {about['accuracy_cross_validated']} %, {time.perf_counter() - begin:.0f} s")


def _scene(package: str, path: str) -> Tensor:
    """(1, 1, height, width), grey, in [0, 1]."""
    with Image.open(file_of(package, path, "demo.train_faces", "photographs that come")) as picture:
        grey = np.asarray(picture.convert("L"), dtype=np.float32)
    return torch.from_numpy(grey / 255)[None, None]


def _card(model: nn.Module, about: dict[str, str], results: list[tuple[int, int, float]]) -> str:
    """The model card, in Markdown; results of each fold: how many were right, of how many, share of false alarms."""
    right, of = (sum(row[column] for row in results) for column in (0, 1))
    table = "\n".join(f"| {i} | {a} of {n} | {100 * f:.2f} % |" for i, (a, n, f) in enumerate(results, start=1))
    unseen = f"{results[0][0]} of {results[0][1]} ({about['accuracy_held_out']} %)"
    alarms = [f"{100 * share:.2f}" for *_, share in results]
    return f"""# faces_cnn

{(type(model).__doc__ or "").splitlines()[0]}

| | |
|---|---|
| parameters | {sum(value.numel() for value in model.parameters()):,} (float32) |
| right, of the pictures that this network has never seen | {unseen} |
| right, five-fold cross-validation | {right} of {of} ({about["accuracy_cross_validated"]} %) |
| windows of unseen photographs without a face that are taken for one | {min(alarms)} to {max(alarms)} % by fold |
| seed | {about["seed"]} |
| sha256 of the tensors | `{checksum(model.state_dict())}` |

## Architecture

```
{model}
```

Input: (n, 1, 25, 25) in [0, 1], grey. Output: two scores, "no face" and "face", before softmax; what speaks for a face
is their difference, `lw.contrast(1, 0)`. Every bias is exactly ≤ 0: it is clamped after every step of the training.

## Data

- scikit-image's `lfw_subset`: 100 faces and 100 other cuttings of Labeled Faces in the Wild, 25×25.
- {WINDOWS:,} random windows of any size in {len(SCENES)} photographs and micrographs that come with scikit-image and
  scikit-learn and show no face, and {HARD} more out of {SEARCHED:,} that looked most like faces halfway.

Pictures and photographs are split into five parts by a fixed seed. Five networks were trained, each tested once on the
part it had not seen ({SEARCHED:,} windows of its photographs); the first is the one that is here, and its part is
`demo.data.faces("test")`. Training pictures are turned by up to 12°, slanted, scaled by up to 12 %, moved by up to 2.5
pixels, mirrored, and changed in contrast and brightness, anew in every epoch.

| fold | right | false alarms |
|---|---|---|
{table}

## Made by

```
{about["command"]}
```

As the digit networks: AdamW, one-cycle rate, twice {about["epochs"]} epochs (the second time with the hard windows).

## Intended use and limits

Made to be explained: small enough to look into, for demonstrations of the sliding window. Not for finding people.

- 200 pictures are few: of 40, one more or less is 2.5 %.
- Known faces are upright, frontal and fill the window. Others (small, turned, in profile, covered) are often missed.
- Photographs have thousands of windows, so even few false alarms in a hundred are many boxes. Expect some.
- The faces are of people in the news around the year 2000, mostly men and mostly light-skinned; how well it works for
  whom was not measured, and it must not be used where that matters.
- Some of the other cuttings have black corners, which no face has: a cue that explanations can show.
"""


if __name__ == "__main__":
    main()
