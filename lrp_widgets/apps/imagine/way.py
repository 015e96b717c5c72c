"""Way: where prototypes have been so far, to look back, to go on, and as curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lrp_widgets.apps.imagine.material import Material
from lrp_widgets.apps.imagine.request import ImagineSettings
from lrp_widgets.prototypes import Prototypes, ascend

__all__ = ["Way"]

MOST_BYTES = 64 * 2**20  # of the steps that are kept; of a longer way every second one goes
LONGEST = 20_000  # steps of the curves


class Way:
    """The climb of one start.  settings: those of the last climb.  left: how many steps it has still to go.

    kept: (step, prototypes) in order, the newest last.  scores, densities: (steps, count) of the whole way.
    Only the worker uses it.
    """

    def __init__(self, settings: ImagineSettings) -> None:
        self.settings, self.left = settings, settings.climb.steps
        self.kept: list[tuple[int, Prototypes]] = []
        self.scores, self.densities = torch.zeros(0, settings.climb.count), torch.zeros(0, settings.climb.count)
        self.steps, self._stride = 0, 1

    @property
    def newest(self) -> Prototypes | None:
        """Where the prototypes are."""
        return self.kept[-1][1] if self.kept else None

    def can_go_on(self, settings: ImagineSettings) -> bool:
        """Whether prototypes go on from where they are under other settings: what is made large, what is moved, how
        many there are and where they begin is the same."""
        before, now = self.settings.climb, settings.climb
        alike = all(getattr(before, name) == getattr(now, name) for name in ("image", "count", "seed"))
        return alike and self.settings.aim == settings.aim and (now.image != "Fourier" or before.decay == now.decay)

    def go_on(self, settings: ImagineSettings) -> None:
        """Take other settings: the climb has all its steps again."""
        if settings != self.settings:
            self.settings, self.left = settings, settings.climb.steps

    def climb(self, material: Material, steps: int, abandoned: Callable[[], bool]) -> Iterator[Prototypes]:
        """Take so many steps; where the prototypes are after each."""
        aim, climb = self.settings.aim, self.settings.climb
        way = ascend(
            material.model, material.objective(aim), material.samples, material.expert(climb), material.image(climb),
            climb.count, steps, climb.seed, robust=material.robust(climb), diversity=material.diversity(climb),
            rate=climb.rate, start=self.newest, output=material.output, abandoned=abandoned,
        )  # fmt: skip
        before = (self.scores, self.densities)
        for now in way:
            self.steps, self.left = self.steps + 1, max(0, self.left - 1)
            self._keep(now)
            self.scores, self.densities = (
                torch.cat([old, new.to(old)])[-LONGEST:]
                for old, new in zip(before, (now.scores, now.densities), strict=True)
            )
            yield now

    def back_to(self, at: int) -> None:
        """Go back to the kept step number `at`; what came after it is forgotten."""
        if not 0 <= at < len(self.kept):
            return
        step = self.kept[at][0]
        gone = self.steps - step
        del self.kept[at + 1 :]
        self.steps, self.left = step, self.settings.climb.steps
        self.scores, self.densities = (each[: len(each) - gone] for each in (self.scores, self.densities))

    def _keep(self, now: Prototypes) -> None:
        if len(self.kept) > 1 and self.kept[-1][0] % self._stride:  # the newest is kept only while it is the newest
            del self.kept[-1]
        self.kept.append((self.steps, now))
        size = _size(now.inputs) + (0 if now.parameters.shape == now.inputs.shape else _size(now.parameters))
        if len(self.kept) > 4 and len(self.kept) * size > MOST_BYTES:
            self._stride *= 2
            self.kept = [each for each in self.kept[:-1] if each[0] % self._stride == 0] + self.kept[-1:]


def _size(tensor: Tensor) -> int:
    return 2 * tensor.numel() * tensor.element_size()  # inputs and parameters, where these are alike
