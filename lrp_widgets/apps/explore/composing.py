"""Composing: the editor of the user's own composite, which begins with the rules of the preset in force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets
import traitlets
from torch import Tensor

from lrp_widgets.apps.session.offered import OWN, choices, own_composite
from lrp_widgets.engine.composites.composite import parametric_steps, resolve
from lrp_widgets.engine.composites.presets import by_depth
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.methods import LRP, Method
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import CompositeEditor, MethodPicker
from lrp_widgets.widgets.turn import in_turn

__all__ = ["Composing", "Elsewhere"]


class Composing:
    """The methods to choose from, and beside them the editor of the user's own composite.

    is_programmatic(): whether that editor changes now because the app sets its value, not because the user did.
    """

    def __init__(self, explainer: Explainer, samples: Samples, is_programmatic: Callable[[], bool]) -> None:
        self._explainer, self._memo, self._is_programmatic = explainer, Memo(), is_programmatic
        self.editor = CompositeEditor(own_composite(samples))
        self._note = Elsewhere(self.editor, "Layer by layer: under “Composite”, on the right.")
        self.methods = MethodPicker(choices(samples), editors=((by_depth, lambda _: self._note),))
        self.editor.observe(self._composed, "value")

    @in_turn
    def show(self, method: Method, x: Tensor) -> None:
        """Tell the editor the rule of each layer; where a preset is in force, it begins with the same rules."""
        if not isinstance(method, LRP):
            return
        composite, tape = method.composite, self._explainer.tape(x)
        rules = self._memo("rules", lambda composite, tape: resolve(composite, tape), composite, tape)
        if not isinstance(composite, by_depth):
            own = self._memo("own", lambda composite, tape: by_depth.like(composite, tape), composite, tape)
            self.methods.offer(OWN, LRP(own))
            self.editor.value = own
        self.editor.show([step.name for step in parametric_steps(tape)], rules)

    def _composed(self, change: Any) -> None:
        """A composite that the user edits becomes the method in force."""
        if self.methods.picker.value != OWN and not self._is_programmatic():
            self.methods.value = LRP(change["new"])


class Elsewhere(ipywidgets.VBox):
    """A note in the place of a setting's editor that says where the editor is; both have the same `value`."""

    value = traitlets.Any()
    problem = traitlets.Unicode("")

    def __init__(self, editor: Any, text: str) -> None:
        note = ipywidgets.HTML(text)
        note.add_class("lrp-note")
        super().__init__([note], value=editor.value)
        traitlets.link((editor, "value"), (self, "value"))
