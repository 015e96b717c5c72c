"""Every family of torchvision's classifiers, on small images: nothing is lost without a name."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import lrp_widgets as lw

torchvision = pytest.importorskip("torchvision", reason="needs the extra `peers`")
ROOT = Path(__file__).parents[2]
# The smallest member of a family and an image that it takes; vgg11 and alexnet are 1 GB in double precision, and
# inception_v3 and maxvit_t take nothing small, and swin_v2_t takes long: those are in docs/conservation.md only.
SIZES = {
    "resnet18": 48, "densenet121": 32, "squeezenet1_1": 48, "googlenet": 32, "mobilenet_v2": 32,
    "mobilenet_v3_small": 32, "mnasnet0_5": 32, "shufflenet_v2_x0_5": 32, "efficientnet_b0": 32,
    "regnet_x_400mf": 32, "regnet_y_400mf": 32, "convnext_tiny": 32, "swin_t": 32,
}  # fmt: skip


def script() -> ModuleType:
    """benchmarks/conservation.py, which knows how to build these networks."""
    spec = importlib.util.spec_from_file_location("conservation", ROOT / "benchmarks" / "conservation.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conservation"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


CONSERVATION = script()


@pytest.mark.parametrize("name", SIZES)
def test_nothing_is_lost(name: str) -> None:
    model: nn.Module = CONSERVATION.without_biases(CONSERVATION.build(name))
    torch.manual_seed(1)
    x = torch.rand(2, 3, SIZES[name], SIZES[name]).double()
    before = {key: (item.clone(), item._version) for key, item in model.state_dict().items()}
    explainer = lw.Explainer(model)

    bare = explainer.explain(x, method=lw.LRP(lw.epsilon(epsilon=0, attention="held constant")))
    assert bare.total == pytest.approx(bare.explained, rel=1e-6)
    for composite in CONSERVATION.COMPOSITES.values():
        explanation = explainer.explain(x, target=3, method=lw.LRP(composite))
        assert max(map(CONSERVATION.missing, explanation.layers)) < 1e-9
        assert not explanation.fallbacks
    single = lw.Explainer(model).explain(x[1:], target=3, method=lw.LRP(composite))
    assert explanation.relevance[1:] == pytest.approx(single.relevance, rel=1e-6, abs=1e-9)
    for key, item in model.state_dict().items():
        assert torch.equal(item, before[key][0]) and item._version == before[key][1]


def test_the_table_has_every_family() -> None:
    table = (ROOT / "docs" / "conservation.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1].strip() for row in table.splitlines() if row.startswith("| ")][1:]
    assert rows == list(CONSERVATION.NAMES)
    assert all(row.rstrip(" |").endswith("none") for row in table.splitlines() if row.startswith("| ") and "e-" in row)
    listed = torchvision.models.list_models(module=torchvision.models)
    families = {torchvision.models.get_model_builder(name).__module__ for name in listed}
    shown = {torchvision.models.get_model_builder(name).__module__ for name in rows}
    assert shown == families
