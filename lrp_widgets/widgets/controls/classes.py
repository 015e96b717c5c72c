"""ClassPicker: the model's prediction as bars, and the class to explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, as_number, module, style

__all__ = ["ClassPicker"]


class ClassPicker(BrowserWidget):
    """Bars of probability and score, one a class; a click chooses the class to explain.

    Scores that are no probabilities stand alone.
    Up to `shown` classes keep their order; of more, those with the largest scores are shown, and the chosen one, and a
    field finds any other by its name or number.
    """

    _esm = module("classes")
    _css = style("classes")

    names = traitlets.List(traitlets.Unicode()).tag(sync=True)  # The class names, in the order of the model's outputs.
    scores = traitlets.List().tag(sync=True)  # The model's outputs (logits); None where one is not finite.
    probabilities = traitlets.List().tag(
        sync=True
    )  # Their softmax, or whatever else lies in [0, 1]: the bars; [] for none.
    selected = traitlets.Int(-1).tag(sync=True, from_browser=True)  # The class to explain, -1 for none.
    auto = traitlets.Bool(True).tag(sync=True, from_browser=True)  # Follow the top class, until one is picked by hand.
    shown = traitlets.Int(10, min=1).tag(sync=True)  # How many classes have a bar.
    description = traitlets.Unicode("Class to explain").tag(sync=True)  # The group's name for assistive technology.

    def show(
        self,
        names: Sequence[str],
        scores: Sequence[float] | np.ndarray,
        probabilities: Sequence[float] | np.ndarray | None,
        selected: int | None = None,
    ) -> None:
        """Show a prediction, one entry a class, in one message.

        probabilities: None where the scores are no classes', as of a regression: scores stand alone then.
        selected: the class to explain; None keeps the choice, or takes the top class where `auto` is on.
        """
        shares = [] if probabilities is None else [as_number(probability) for probability in probabilities]
        if not len(names) == len(scores) or (probabilities is not None and len(shares) != len(names)):
            raise ValueError(
                "ClassPicker.show: names, scores and probabilities must have one entry per class, "
                f"got {len(names)}, {len(scores)} and {len(shares)}."
            )
        with self.one_message():
            self.names = [str(name) for name in names]
            self.scores = [as_number(score) for score in scores]
            self.probabilities = shares
            if selected is None:
                selected = self.top if self.auto or self.selected >= len(names) else self.selected
            self.selected = int(selected)

    @property
    def top(self) -> int:
        """The class with the largest score, -1 for none."""
        finite = [(score, -index) for index, score in enumerate(self.scores) if score is not None]
        return -max(finite)[1] if finite else -1

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> int:
        last = len(self.names) - 1
        if not -1 <= proposal["value"] <= last:
            raise traitlets.TraitError(f"ClassPicker.selected must lie in [-1, {last}], got {proposal['value']}.")
        return proposal["value"]
