"""What the app shall climb to and how, as frozen values that a link can carry."""

from __future__ import annotations

from dataclasses import dataclass, field

from lrp_widgets.params import MOST_SEED, Setting, choice, param, switch

__all__ = ["KINDS", "PARTS", "Aim", "ClimbSettings", "ImagineRequest", "ImagineSettings"]

KINDS = ("logit", "log-probability", "probability", "channel", "sample")
LABELS = (
    "a class: its score (logit)",
    "a class: its log-probability",
    "a class: its probability",
    "a channel of a layer",
    "towards a sample",
)
OF_CLASSES = KINDS[:3]
NAME = 200  # characters of a layer's or an expert's name in a link


@dataclass(frozen=True)
class Aim(Setting):
    """What is made large.  target: a class.  layer, channel: whose activation.  sample: the number of one."""

    kind: str = choice("logit", KINDS, labels=LABELS, symbol="look for", help="What is made large.")
    target: int = param(0, low=0, symbol="class", help="The class whose score is made large.")
    layer: str = ""
    channel: int = param(0, low=0, symbol="channel", help="The channel whose mean activation is made large.")
    sample: int = param(0, low=0, symbol="sample", help="The sample whose activation is the direction.")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_name("Aim.layer", self.layer)

    @property
    def of_class(self) -> bool:
        """Whether it is a class."""
        return self.kind in OF_CLASSES


@dataclass(frozen=True)
class ClimbSettings(Setting):
    """How a climb goes.  expert, image: names of what the app offers."""

    expert: str = "L2"
    image: str = "pixels"
    strength: float = param(
        0.1, low=0, high=1e6, slider=(1e-3, 10), log=True, symbol="strength",
        help="How much the expert's log p counts. Too weak: unnatural pictures; too strong: the data, not the class.",
    )  # fmt: skip
    near: float = param(
        0.0, low=0, high=1e6, slider=(1e-3, 10), log=True, symbol="near, η",
        help="From global to local: η ‖x − x₀‖² is taken away, with the sample chosen below as x₀.",
    )  # fmt: skip
    origin: int = param(0, low=0, symbol="x₀", help="The sample that the prototypes stay near.")
    shell: bool = switch(
        True, symbol="stay on the shell ‖z‖ = √k",
        help="‖z‖ = √k: where the codes lie that the generator was trained with. Without it, λ ‖z‖² is taken away.",
    )  # fmt: skip
    rate: float = param(
        0.1, low=1e-6, high=1e3, slider=(1e-3, 1), log=True, symbol="rate", help="The length of a step."
    )
    decay: float = param(
        1.0, low=0, high=4, slider=(0, 2), step=0.1, symbol="decay",
        help="Of the Fourier spectrum: how much less high frequencies move than low ones.",
    )  # fmt: skip
    diversity: float = param(
        0.0, low=0, high=1e4, slider=(0, 5), step=0.1, symbol="diversity",
        help="How much likeness is held down. It costs: with 1, another network names 57 % of digits and not 100 %.",
    )  # fmt: skip
    robust: bool = switch(
        False, symbol="bear small moves and turns",
        help="The prototypes are moved, turned and scaled a little at every step.",
    )  # fmt: skip
    count: int = param(4, low=1, high=16, slider=(1, 9), symbol="prototypes", help="How many climb side by side.")
    steps: int = param(
        150, low=1, high=5000, slider=(10, 600), step=10, symbol="steps", help="Of a climb, after each move."
    )
    seed: int = param(0, low=0, high=MOST_SEED, slider=(0, 20), symbol="seed", help="Where they begin.")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_name("ClimbSettings.expert", self.expert)
        _check_name("ClimbSettings.image", self.image)


def _check_name(owner: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > NAME:
        raise TypeError(f"{owner} must be a name of at most {NAME} characters, got {str(value)[:80]!r}.")


@dataclass(frozen=True)
class ImagineSettings:
    """What is climbed to and how: what an undo goes back to and a link holds."""

    aim: Aim = field(default_factory=Aim)
    climb: ClimbSettings = field(default_factory=ClimbSettings)

    def __post_init__(self) -> None:
        for name, kind in (("aim", Aim), ("climb", ClimbSettings)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"ImagineSettings.{name} must be {kind.__name__}, got {getattr(self, name)!r}.")


PARTS: tuple[type, ...] = (ImagineSettings, Aim, ClimbSettings)


@dataclass(frozen=True)
class ImagineRequest:
    """settings: what is climbed to.  paused: whether the prototypes stand still.  single, restart: how often these
    buttons were pressed.  at: the step that is looked at, −1 for the newest.  page: the visible page below."""

    settings: ImagineSettings
    paused: bool = False
    single: int = 0
    restart: int = 0
    at: int = -1
    page: str = ""
