"""Every family of torchvision's classifiers, in small: nothing is lost without a name."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import lrp_widgets as lw

pytest.importorskip("torchvision", reason="needs the extra `peers`")

from torchvision import models

from tests.peers.torchvision_cases import SMALL

ROOT = Path(__file__).parents[2]


def script() -> ModuleType:
    """benchmarks/conservation.py, which knows what to ask of these networks."""
    spec = importlib.util.spec_from_file_location("conservation", ROOT / "benchmarks" / "conservation.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conservation"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


CONSERVATION = script()


def small(family: str) -> tuple[nn.Module, torch.Tensor]:
    """A network in which nothing is zero, and two images."""
    torch.manual_seed(0)
    build, size = SMALL[family]
    x = torch.rand(2, 3, size, size)
    return CONSERVATION.brought_to_life(build(), x), x


@pytest.mark.parametrize("family", SMALL)
def test_the_ledger_closes_with_biases_in_single_precision(family: str) -> None:
    model, x = small(family)
    before = {key: (item.clone(), item._version) for key, item in model.state_dict().items()}
    explainer = lw.Explainer(model)
    for composite in CONSERVATION.COMPOSITES.values():
        explanation = explainer.explain(x[:1], target=3, method=lw.LRP(composite))
        assert [layer.name for layer in explanation.layers if not layer.closes] == []
        assert not explanation.fallbacks
    for key, item in model.state_dict().items():
        assert torch.equal(item, before[key][0]) and item._version == before[key][1]


@pytest.mark.parametrize("family", SMALL)
def test_nothing_is_lost_without_biases_in_double_precision(family: str) -> None:
    model, x = small(family)
    model, x = CONSERVATION.without_biases(model, x), x.double()
    explainer = lw.Explainer(model)
    explanation = explainer.explain(x, method=lw.LRP(CONSERVATION.CONSTANT_ATTENTION))
    assert explanation.total == pytest.approx(explanation.explained, rel=1e-6)
    assert all(layer.closes for layer in explanation.layers)
    assert {cause for cause, amount in explanation.absorbed.items() if float(amount.abs().max()) > 1e-9} == set()
    both = explainer.explain(x, method=lw.LRP(CONSERVATION.BARE["γ"]))

    balance, alone = CONSERVATION.balance(explainer, x[:1], CONSERVATION.BARE)
    assert balance.lost < 1e-9 and balance.unexplained < 1e-9 and not balance.open
    assert alone.method == both.method
    assert both.relevance[:1] == pytest.approx(alone.relevance, rel=1e-6, abs=1e-9 * float(alone.relevance.abs().max()))


def tables() -> list[list[list[str]]]:
    """The cells of the two tables of docs/conservation.md, without their headings."""
    sheet = (ROOT / "docs" / "conservation.md").read_text(encoding="utf-8")
    found = [block for block in sheet.split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in block.splitlines()[2:]] for block in found]


def family(name: str) -> tuple[str, str]:
    """Its module and its name without size: ("…models.resnet", "wide"), ("…models.regnet", "regnet_x")."""
    said = re.match(r"[a-z]+(_v\d|_[xy])?", name)
    assert said is not None
    return models.get_model_builder(name).__module__, said[0]


def test_the_table_has_every_family() -> None:
    whole, bare = tables()
    assert [row[0] for row in whole] == [row[0] for row in bare] == list(CONSERVATION.NAMES)
    listed = models.list_models(module=models)
    assert {family(name) for name in listed} == {family(row[0]) for row in whole}


def test_the_table_keeps_what_it_promises() -> None:
    whole, bare = tables()
    for row in whole:
        *_, unexplained, unclosed, fallbacks = row
        assert (float(unexplained) < 1e-5, unclosed, fallbacks) == (True, "0", "none"), row
    for row in bare:
        assert float(row[1]) <= 1e-6 and float(row[-2]) <= 1e-6 and float(row[-1]) <= 1e-6, row
