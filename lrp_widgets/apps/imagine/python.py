"""Prototypes as Python: the few lines that climb with the same settings, without the app."""

from __future__ import annotations

from lrp_widgets.apps.imagine.material import (
    CODE,
    DRAWS,
    FOURIER,
    GAUSSIAN,
    L2,
    NONE,
    SMALL,
    SMALL_SIDE,
    VARIATION,
    Material,
)
from lrp_widgets.apps.imagine.request import ImagineSettings

__all__ = ["python_of"]

WHERE_FROM = "# model, samples: what the app was given, lw.imagine(model, samples)"


def python_of(settings: ImagineSettings, material: Material, names: tuple[str, str] = ("model", "samples")) -> str:
    """Lines that end with `found`, the prototypes.  names: expressions that make model and samples.

    The climb begins at its start there: in the app, prototypes go on from where they are when a slider moves.
    """
    climb = settings.climb
    before: list[str] = [WHERE_FROM] if names == ("model", "samples") else []
    before += [f"{bare} = {made}" for bare, made in zip(("model", "samples"), names, strict=True) if bare != made]
    arguments = [
        "model", _objective(settings, before), "samples", _expert(settings, material, before), _image(settings, before),
        f"count={climb.count}", f"steps={climb.steps}", f"seed={climb.seed}", f"rate={climb.rate!r}",
    ]  # fmt: skip
    if robust := material.robust(climb):
        small = min(material.samples.inputs.shape[2:]) <= SMALL_SIDE
        parts = ", ".join(f"lw.transformations.{part!r}" for part in SMALL)
        standard = f"lw.transformations.standard({min(material.samples.inputs.shape[2:])})"
        arguments.append(f"robust=({parts})" if small and robust else f"robust={standard}")
    if (diversity := material.diversity(climb)) is not None:
        arguments.append(f"diversity=lw.Diversity({diversity.layer!r}, {diversity.strength!r})")
    if material.output is not None:
        arguments.append(f"output={getattr(material.output, '__name__', repr(material.output))}")
    lines = [*before, "found = lw.prototype(", *(f"    {argument}," for argument in arguments), ")"]
    return "\n".join(["import lrp_widgets as lw", "", *lines]) + "\n"


def _objective(settings: ImagineSettings, before: list[str]) -> str:
    aim = settings.aim
    if aim.kind == "channel":
        return f"lw.objectives.Channel({aim.layer!r}, {aim.channel})"
    if aim.kind == "sample":
        before += [
            "activation = []",
            f"hook = model.get_submodule({aim.layer!r}).register_forward_hook("
            "lambda module, inputs, output: activation.append(output.detach().clone()))",
            f"model(samples.inputs[{aim.sample}:{aim.sample + 1}])",
            "hook.remove()",
            "direction = activation[0][0] / activation[0][0].norm()",
        ]
        return f"lw.objectives.Direction({aim.layer!r}, direction)"
    name = {"logit": "Logit", "probability": "Probability"}.get(aim.kind, "LogProbability")
    return f"lw.objectives.{name}({aim.target})"


def _expert(settings: ImagineSettings, material: Material, before: list[str]) -> str:
    climb = settings.climb
    strength = repr(climb.strength)
    if climb.image == CODE:
        return "lw.experts.NoExpert()" if climb.shell else f"lw.experts.L2({strength})"
    if climb.expert in material.fitted:
        before.append(f"# expert: what the app was given, with the strength {strength}")
        made = "expert"
    else:
        made = {
            NONE: "lw.experts.NoExpert()",
            L2: f"lw.experts.L2({strength}, around=samples.inputs.mean(0))",
            VARIATION: f"lw.experts.TotalVariation({strength})",
            GAUSSIAN: f"lw.experts.Gaussian.fit(samples, {strength})",
        }.get(climb.expert, "lw.experts.NoExpert()")
    near = f" + lw.experts.Near(samples.inputs[{climb.origin}], {climb.near!r})" if climb.near > 0 else ""
    return made + near


def _image(settings: ImagineSettings, before: list[str]) -> str:
    if settings.climb.image == CODE:
        before.append("# generator: what the app was given")
        return f"lw.parameterizations.Code(generator, draws={DRAWS}, shell={settings.climb.shell})"
    return (
        f"lw.parameterizations.Fourier({settings.climb.decay!r})"
        if settings.climb.image == FOURIER
        else "lw.parameterizations.Pixels()"
    )
