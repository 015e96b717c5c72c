"""Which rule where: Entry and Composite.

An entry says where in words that need no architecture: "any", "input" (the layers that see the input), "dense",
"convolution", "normalization", a pattern over layer names ("features.*"), or Depth(start, stop).
The first entry that matches a layer gives its rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lrp_widgets.engine.operators import Options
from lrp_widgets.engine.rules import Rule
from lrp_widgets.engine.trace.tape import Step, Tape
from lrp_widgets.params import Setting, param, params_of

__all__ = ["Composite", "Depth", "Entry", "first_steps", "parametric_steps", "resolve"]

KINDS = ("convolution", "dense", "normalization")


@dataclass(frozen=True)
class Depth(Setting):
    """The layers between two fractions of the depth: 0 is the input, 1 the output. Layer i of n lies at (i + ½) / n."""

    start: float = param(0.0, low=0, high=1)
    stop: float = param(1.0, low=0, high=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start > self.stop:
            raise ValueError(f"Depth.start must be at most Depth.stop, got {self.start} and {self.stop}.")


@dataclass(frozen=True)
class Entry:
    """A rule and where it holds: "any", "input", a kind of layer, a pattern over names, or a Depth."""

    rule: Rule
    where: str | Depth = "any"

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Rule):
            raise TypeError(f"Entry.rule must be a rule such as lw.rules.Epsilon(), got {self.rule!r}.")
        if not isinstance(self.where, str | Depth):
            raise TypeError(f"Entry.where must be a name, a pattern or a Depth, got {self.where!r}.")


@dataclass(frozen=True)
class Composite(Options):
    """Entries in order (the first that matches a layer counts) and the rule of ops without parameters."""

    entries: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.entries, str) or not isinstance(self.entries, Iterable):
            raise TypeError(f"Composite.entries must be a list of Entry(rule, where), got {self.entries!r}.")
        object.__setattr__(self, "entries", tuple(self.entries))
        for entry in self.entries:
            if not isinstance(entry, Entry):
                raise TypeError(f"Composite.entries must hold Entry(rule, where), got {entry!r}.")

    def remarks(self, tape: Tape) -> tuple[str, ...]:
        """What an explanation of this run should say of the rules that it was made by."""
        return ()

    def equation_of(self, name: str = "") -> str:
        """Of the rules that have a parameter of this name; where none has, of all rules."""
        rules = [entry.rule for entry in self.entries]
        own = [rule for rule in rules if any(param.name == name for param in params_of(rule))]
        return "\n".join(dict.fromkeys(rule.equation for rule in own or rules if rule.equation))


def parametric_steps(tape: Tape) -> tuple[Step, ...]:
    """The steps that take a rule, from the input to the output."""
    return tuple(step for step in tape.steps if step.affine is not None)


def first_steps(tape: Tape) -> set[str]:
    """Names of the parametric steps that see nothing but the input, through no other parametric step.

    One that also sees the answers of other layers (the input concatenated to them) is not in the input's domain, nor
    is one that sees embeddings.
    """
    fresh, first = set(tape.inputs), set()
    for step in tape.steps:
        if not all(value in fresh for value in step.inputs):
            continue
        if step.affine is not None:
            first.add(step.name)
        elif step.op != "embedding":
            fresh.update(value for value in step.outputs if value is not None)
    return first


def resolve(composite: Composite, tape: Tape) -> dict[str, Rule]:
    """The rule of every parametric step, by the step's name.

    Raises ValueError where a pattern matches no layer, or a layer gets no rule.
    """
    steps, first = parametric_steps(tape), first_steps(tape)
    count = max(1, len(steps))
    rules: dict[str, Rule] = {}
    for entry in composite.entries:
        matched = False
        for i, step in enumerate(steps):
            if _matches(entry.where, step, first, (i + 0.5) / count):
                matched = True
                rules.setdefault(step.name, entry.rule)
        general = isinstance(entry.where, Depth) or entry.where in ("any", "input", *KINDS)
        if not matched and not general:
            raise ValueError(f"Entry({entry.rule}, {entry.where!r}) matches no layer. {_layers_text(steps)}")
    missing = [step.name for step in steps if step.name not in rules]
    if missing:
        names = ", ".join(repr(name) for name in missing[:5]) + (", …" if len(missing) > 5 else "")
        raise ValueError(
            f'The composite has no rule for {names}. End it with Entry(rule, "any"). {_layers_text(steps)}'
        )
    return rules


def _layers_text(steps: tuple[Step, ...]) -> str:
    return f"Layers that take a rule: {', '.join(step.name for step in steps) or 'none'}."


def _matches(where: str | Depth, step: Step, first: set[str], depth: float) -> bool:
    if isinstance(where, Depth):
        return where.start <= depth < where.stop or (where.stop == 1 and depth == 1)
    if where == "any":
        return True
    if where == "input":
        return step.name in first
    if where in KINDS:
        return step.affine.kind == where
    return fnmatchcase(step.name, where) or any(fnmatchcase(module, where) for module in step.modules)
