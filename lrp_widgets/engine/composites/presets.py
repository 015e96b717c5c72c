"""The composites of the literature, each with its parameters; PRESETS at the bottom.

Their names are lower-case because they are called like functions: lw.alpha_beta(alpha=2, input="zB", low=0, high=1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from itertools import combinations_with_replacement
from typing import Any, ClassVar

from lrp_widgets.engine.composites.composite import Composite, Depth, Entry, first_steps, parametric_steps, resolve
from lrp_widgets.engine.operators import Options
from lrp_widgets.engine.rules import RELATIVE, AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, Zero, ZPlus
from lrp_widgets.engine.rules.alpha_beta import without_beta
from lrp_widgets.engine.rules.bounds import Bound, check_box, checked_bound
from lrp_widgets.engine.rules.gamma import MOST_GAMMA
from lrp_widgets.engine.trace.tape import Tape
from lrp_widgets.params import choice, param, span, switch

INPUT_RULES = (None, "zB", "w2", "z+", "flat", "epsilon")
INPUT_LABELS = ("as the layers above", "z^B · pixels in a box", "w² · real values", "z⁺ · values ≥ 0", "flat", "ε")
_SPLIT = "Where the middle layers begin and end; 0 is the input, 1 the output."
NO_DOMAIN = 'z⁺ at the input: its domain is not known. For values in a box: deep_taylor(input="zB", low=…, high=…)'
_DEPTH = "depth of layer i of n = (i + ½) / n"


def _input_rule(default: str | None) -> Any:
    text = "The rule of the layers that see the input: it must know the domain the input lives in."
    kinds: tuple[type[Rule], ...] = (ZBox, WSquare, ZPlus, Flat, Epsilon)
    each = "\n".join(
        f"{label.split(' ')[0]}: {kind.equation}" for label, kind in zip(INPUT_LABELS[1:], kinds, strict=True)
    )
    return choice(
        default, INPUT_RULES, labels=INPUT_LABELS, symbol="input rule", help=text, equation=each, kw_only=True
    )


@dataclass(frozen=True)
class _Preset(Composite):
    """A composite that writes its own entries from a few parameters, with an input-domain rule below."""

    title: ClassVar[str] = ""
    entries: tuple[Entry, ...] = field(init=False, repr=False, compare=False, default=())
    input: str | None = _input_rule(None)
    low: Bound = field(default=0.0, kw_only=True)
    high: Bound = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", ())
        super().__post_init__()
        owner = type(self).__name__
        for name in ("low", "high"):
            object.__setattr__(self, name, checked_bound(owner, name, getattr(self, name)))
        if self.input == "zB":
            check_box(owner, self.low, self.high)
        object.__setattr__(self, "entries", (*self._exceptions(), *self._input(), *self._above()))

    def _exceptions(self) -> Iterator[Entry]:
        yield from ()

    def _input(self) -> Iterator[Entry]:
        small = getattr(self, "epsilon", 1e-6)
        rules: dict[str, Rule] = {
            "w2": WSquare(),
            "z+": ZPlus(),
            "flat": Flat(),
            "epsilon": Epsilon(small, getattr(self, "relative", False)),
        }
        if self.input == "zB":
            yield Entry(ZBox(self.low, self.high), "input")
        elif self.input is not None:
            yield Entry(rules[self.input], "input")

    def _above(self) -> Iterator[Entry]:
        raise NotImplementedError


def _alpha(default: float) -> Any:
    return param(
        default, low=1, high=10, slider=(1, 3), step=0.05, symbol="α", help="Weight of positive evidence; β = α − 1."
    )


def _epsilon(default: float = 1e-6) -> Any:
    return param(
        default,
        low=0,
        slider=(1e-9, 10),
        log=True,
        symbol="ε",
        help="Damps weak or contradicting evidence; absorbs it.",
    )


def _gamma(default: float = 0.25) -> Any:
    text = "How much positive contributions count extra."
    return param(default, low=0, high=MOST_GAMMA, slider=(0, 1), step=0.01, symbol="γ", help=text)


# A BatchNorm that could not be folded has one input a neuron: there is nothing for β to weigh against.
_ONE_TO_ONE = Entry(ZPlus(), "normalization")


@without_beta
@dataclass(frozen=True)
class alpha_beta(_Preset):
    """αβ in every layer: α1β0 is deep Taylor, α2β1 shows negative evidence (the paper, section on LRP)."""

    title: ClassVar[str] = "LRP-αβ"
    alpha: float = _alpha(2.0)

    def note(self, name: str) -> str:
        return f"β = {self.alpha - 1:.2f}" if name == "alpha" else ""

    def _above(self) -> Iterator[Entry]:
        yield _ONE_TO_ONE
        yield Entry(AlphaBeta(self.alpha))


@dataclass(frozen=True)
class epsilon(_Preset):
    """ε in every layer (Bach et al. 2015); ε = 0 is LRP-0."""

    title: ClassVar[str] = "LRP-ε"
    epsilon: float = _epsilon()
    relative: bool = switch(
        False, symbol="ε × rms z", help="ε as a multiple of each layer's root mean square.", equation=RELATIVE
    )

    def _above(self) -> Iterator[Entry]:
        yield Entry(Epsilon(self.epsilon, self.relative))


@dataclass(frozen=True)
class deep_taylor(_Preset):
    """z⁺ in every layer above an input-domain rule: deep Taylor decomposition (Montavon et al. 2017).

    Without an input rule: z^B in the box of the samples, where there are samples (lw.explore, lw.quality, lw.scan,
    lw.evaluate); else z⁺ as above, and the explanation's notes say so.
    """

    title: ClassVar[str] = "Deep Taylor"

    def remarks(self, tape: Tape) -> tuple[str, ...]:
        return (NO_DOMAIN,) if self.input is None and first_steps(tape) else ()

    def _above(self) -> Iterator[Entry]:
        yield Entry(ZPlus())


@dataclass(frozen=True)
class epsilon_plus(_Preset):
    """ε in dense layers, z⁺ in convolutions (Kohlbrenner et al. 2020)."""

    title: ClassVar[str] = "ε · z⁺"
    epsilon: float = _epsilon()

    def _above(self) -> Iterator[Entry]:
        yield Entry(Epsilon(self.epsilon), "dense")
        yield Entry(ZPlus())


@dataclass(frozen=True)
class epsilon_plus_flat(epsilon_plus):
    """ε in dense layers, z⁺ in convolutions, flat at the input (Kohlbrenner et al. 2020)."""

    title: ClassVar[str] = "ε · z⁺ · flat"
    input: str | None = _input_rule("flat")


@without_beta
@dataclass(frozen=True)
class epsilon_alpha2_beta1(_Preset):
    """ε in dense layers, α2β1 in convolutions (Kohlbrenner et al. 2020)."""

    title: ClassVar[str] = "ε · αβ"
    alpha: float = _alpha(2.0)
    epsilon: float = _epsilon()

    def note(self, name: str) -> str:
        return f"β = {self.alpha - 1:.2f}" if name == "alpha" else ""

    def _above(self) -> Iterator[Entry]:
        yield Entry(Epsilon(self.epsilon), "dense")
        yield _ONE_TO_ONE
        yield Entry(AlphaBeta(self.alpha))


@without_beta
@dataclass(frozen=True)
class epsilon_alpha2_beta1_flat(epsilon_alpha2_beta1):
    """ε in dense layers, α2β1 in convolutions, flat at the input (Kohlbrenner et al. 2020)."""

    title: ClassVar[str] = "ε · αβ · flat"
    input: str | None = _input_rule("flat")


@dataclass(frozen=True)
class epsilon_gamma_box(_Preset):
    """ε in dense layers, γ in convolutions, z^B at the pixels (Montavon et al. 2019)."""

    title: ClassVar[str] = "ε · γ · z^B"
    input: str | None = _input_rule("zB")
    low: Bound = 0.0  # by position here: these two know the box
    high: Bound = 1.0
    gamma: float = _gamma()
    epsilon: float = _epsilon()

    def _above(self) -> Iterator[Entry]:
        yield Entry(Epsilon(self.epsilon), "dense")
        yield Entry(Gamma(self.gamma))


@dataclass(frozen=True)
class montavon2019(_Preset):
    """LRP-0 in the upper, ε · rms(z) in the middle, γ in the lower layers, z^B at the pixels (Montavon et al. 2019)."""

    title: ClassVar[str] = "0 · ε · γ · z^B"
    relative: ClassVar[bool] = True
    input: str | None = _input_rule("zB")
    low: Bound = 0.0  # by position here: these two know the box
    high: Bound = 1.0
    gamma: float = _gamma()
    epsilon: float = param(
        0.25, low=0, slider=(1e-3, 1), log=True, symbol="ε", help="Of the middle layers, as a multiple of rms z."
    )
    split: tuple[float, float] = span((0.4, 0.75), low=0, high=1, symbol="layer split", help=_SPLIT, equation=_DEPTH)

    def _above(self) -> Iterator[Entry]:
        yield Entry(Gamma(self.gamma), Depth(0.0, self.split[0]))
        yield Entry(Epsilon(self.epsilon, relative=True), Depth(*self.split))
        yield Entry(Zero())


@without_beta
@dataclass(frozen=True)
class layered(_Preset):
    """γ in the lower, αβ in the middle, ε in the upper layers: every slider at once (after Montavon et al. 2019)."""

    title: ClassVar[str] = "γ · αβ · ε by depth"
    input: str | None = _input_rule("zB")
    alpha: float = _alpha(1.0)
    epsilon: float = _epsilon()
    gamma: float = _gamma()
    split: tuple[float, float] = span((0.4, 0.75), low=0, high=1, symbol="layer split", help=_SPLIT, equation=_DEPTH)

    def note(self, name: str) -> str:
        return f"β = {self.alpha - 1:.2f}" if name == "alpha" else ""

    def _above(self) -> Iterator[Entry]:
        yield Entry(Gamma(self.gamma), Depth(0.0, self.split[0]))
        yield _ONE_TO_ONE
        yield Entry(AlphaBeta(self.alpha), Depth(*self.split))
        yield Entry(Epsilon(self.epsilon))


@dataclass(frozen=True)
class by_depth(_Preset):
    """Any rule in the lower, the middle and the upper layers, and any other one in single layers.

    overrides: Entry(rule, layer) for these.
    """

    title: ClassVar[str] = "Your own, by layer"
    input: str | None = _input_rule("zB")
    lower: Rule = field(default_factory=Gamma)
    middle: Rule = field(default_factory=lambda: Epsilon(0.25, relative=True))
    upper: Rule = field(default_factory=Zero)
    split: tuple[float, float] = span((0.4, 0.75), low=0, high=1, symbol="layer split", help=_SPLIT, equation=_DEPTH)
    overrides: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        for part in ("lower", "middle", "upper"):
            if not isinstance(rule := getattr(self, part), Rule):
                raise TypeError(f"by_depth.{part} must be a rule such as lw.rules.Gamma(), got {rule!r}.")
        if not isinstance(self.overrides, tuple) or not all(isinstance(entry, Entry) for entry in self.overrides):
            raise TypeError(f"by_depth.overrides must be a tuple of Entry(rule, layer), got {self.overrides!r}.")
        super().__post_init__()

    def _exceptions(self) -> Iterator[Entry]:
        yield from self.overrides

    def _above(self) -> Iterator[Entry]:
        yield Entry(self.lower, Depth(0.0, self.split[0]))
        yield Entry(self.middle, Depth(*self.split))
        yield Entry(self.upper)

    @classmethod
    def like(cls, composite: Composite, tape: Tape) -> by_depth:
        """The same rules on the layers of a tape: three parts, and an override for each layer that is not as its part.

        Raises ValueError where the composite does not fit the layers.
        """
        rules = resolve(composite, tape)
        names, count = [step.name for step in parametric_steps(tape)], len(rules)
        box: dict[str, Any] = {"input": None}
        box |= {name: getattr(composite, name) for name in KEPT_AS_IT_IS if hasattr(composite, name)}
        sees = resolve(Composite(entries=(Entry(Zero(), "input"), Entry(Flat()))), tape)
        at_input = {name for name, rule in sees.items() if rule == Zero() and box.get("input")}
        counted = [i for i, name in enumerate(names) if name not in at_input]
        changes = [0, count] + [
            i for i, j in zip(counted[1:], counted, strict=False) if rules[names[i]] != rules[names[j]]
        ]

        def most(start: int, stop: int) -> tuple[Rule | None, int]:
            """The rule of most layers between two, and how many these are."""
            counts = Counter(rules[names[i]] for i in counted if start <= i < stop)
            return counts.most_common(1)[0] if counts else (None, 0)

        def matched(cut: tuple[int, int]) -> int:
            return sum(most(*part)[1] for part in ((0, cut[0]), cut, (cut[1], count)))

        first, second = max(combinations_with_replacement(sorted(set(changes))[:MOST_CHANGES], 2), key=matched)
        parts = [most(*part)[0] for part in ((0, first), (first, second), (second, count))]
        fallback = next((rule for rule in parts if rule is not None), rules[names[-1]])
        lower, middle, upper = (fallback if rule is None else rule for rule in parts)
        by_part = [lower if i < first else middle if i < second else upper for i in range(count)]
        overrides = tuple(Entry(rules[names[i]], names[i]) for i in counted if rules[names[i]] != by_part[i])
        if lower != middle or middle != upper:  # else any split will do
            split = getattr(composite, "split", (0.0, 0.0))
            same = tuple(sum((i + 0.5) / count < end for i in range(count)) for end in split) == (first, second)
            box["split"] = split if same else (first / count, second / count)
        return cls(lower=lower, middle=middle, upper=upper, overrides=overrides, **box)


KEPT_AS_IT_IS = ("input", "low", "high", *(option.name for option in fields(Options)))
MOST_CHANGES = 40  # places where a part may begin that are tried


PRESETS: tuple[type[_Preset], ...] = (
    layered,
    alpha_beta,
    deep_taylor,
    epsilon,
    epsilon_plus,
    epsilon_plus_flat,
    epsilon_alpha2_beta1,
    epsilon_alpha2_beta1_flat,
    epsilon_gamma_box,
    montavon2019,
    by_depth,
)
