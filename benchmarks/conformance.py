"""Every operator of torch's own database, explained on its sample inputs: writes docs/operators.md.

    python benchmarks/conformance.py

Each floating-point operator runs as x → op → sum under LRP-0. The database is torch's, and so are the samples: nothing
here was written with our rules in mind.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import lrp_widgets as lw
from lrp_widgets.engine.trace.tape import RecordingError

SHEET = Path(__file__).parents[1] / "docs" / "operators.md"
SAMPLES = 3  # of each operator
LARGEST = 20_000  # elements of a sample
REFUSALS = (RecordingError, TypeError, ValueError)


class Operator(nn.Module):
    """Sum of all floating-point outputs of an operator: one score for one row."""

    def __init__(self, entry: Any, sample: Any) -> None:
        super().__init__()
        self.entry, self.sample = entry, sample
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        outputs = tree_leaves(self.entry.op(x[0], *self.sample.args, **self.sample.kwargs))
        return torch.stack([t.sum() for t in outputs if isinstance(t, Tensor) and t.is_floating_point()]).sum()[
            None, None
        ]


@dataclass(frozen=True)
class Verdict:
    """What became of one sample. kind: "exact", "closes", "fallback", "refused" or "wrong"."""

    kind: str
    note: str = ""


def entries() -> Iterator[tuple[str, Any]]:
    """The operators of the database that take float64, by name."""
    from torch.testing._internal.common_methods_invocations import op_db

    for entry in op_db:
        if torch.float64 in entry.dtypes:
            yield entry.name + (f".{entry.variant_test_name}" if entry.variant_test_name else ""), entry


def verdicts(entry: Any, rule: Any = None, count: int = SAMPLES) -> list[Verdict]:
    """The verdict on each sample that the operator itself runs on. rule: LRP-0 by default."""
    torch.manual_seed(0)
    with warnings.catch_warnings():  # many entries of the database are deprecated or experimental
        warnings.simplefilter("ignore")
        return _verdicts(entry, rule, count)


def _verdicts(entry: Any, rule: Any, count: int) -> list[Verdict]:
    try:
        samples = list(islice(entry.sample_inputs("cpu", torch.float64, requires_grad=False), count + 1))[:count]
    except (RuntimeError, NotImplementedError):  # the database has no samples for this machine
        return []
    return [verdict for sample in samples if (verdict := _verdict(entry, sample, rule)) is not None]


def _verdict(entry: Any, sample: Any, rule: Any) -> Verdict | None:
    x = sample.input
    if not isinstance(x, Tensor) or x.layout != torch.strided or not x.is_floating_point():
        return None
    if not 0 < x.numel() <= LARGEST or x.ndim < 1:
        return None
    model, x = Operator(entry, sample), x.detach().clone()[None]
    try:
        with torch.no_grad():
            f = model(x.clone())
    except (RuntimeError, TypeError, IndexError, ValueError, AssertionError):  # no sum to be had of what it returns
        return None
    if not bool(torch.isfinite(f)):
        return None
    composite = lw.Composite([lw.Entry(lw.rules.Zero() if rule is None else rule, "any")])
    try:
        explanation = lw.Explainer(model).explain(x, 0, lw.LRP(composite))
    except REFUSALS as error:
        return Verdict("refused", str(error))
    except RuntimeError as error:
        if "has no derivative to pass relevance by" not in str(error):
            raise
        return Verdict("refused", str(error))
    if entry.name not in RANDOM and not torch.allclose(explanation.scores, f):
        return Verdict("wrong", "the scores are not the model's")
    if not bool(torch.isfinite(explanation.relevance).all()):
        return Verdict("wrong", "the relevance is not finite")
    if faults := [line.op for line in explanation.layers if not line.closes]:
        return Verdict("wrong", f"the line of {', '.join(faults)} does not close")
    approximated = ", ".join(line.op for line in explanation.layers if line.name in explanation.fallbacks)
    if rule is not None or not _homogeneous(model, x, f):  # gradient × input is what LRP-0 must be
        return Verdict("fallback", approximated) if approximated else Verdict("closes")
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf).sum(), leaf, allow_unused=True)
    expected = torch.zeros_like(x) if gradient is None else gradient * x
    close = torch.allclose(
        explanation.relevance, expected, rtol=1e-5, atol=1e-8 * max(1.0, float(expected.abs().max()))
    )
    if not close and entry.name not in COARSE:
        return Verdict("wrong", "homogeneous, and not gradient × input")
    return Verdict("fallback", approximated) if approximated else Verdict("exact")


RANDOM = {"normal", "uniform", "bernoulli", "cauchy", "exponential", "geometric", "log_normal", "multinomial"}
COARSE = {"half", "bfloat16"}  # the answer itself is rounded to another dtype


def _homogeneous(model: nn.Module, x: Tensor, f: Tensor) -> bool:
    """Whether f(t x) = t f(x), on this sample."""
    if abs(float(f)) < 1e-9:
        return False
    try:
        leaf = x.clone().requires_grad_()
        if not model(leaf).requires_grad:
            return False
        with torch.no_grad():
            return all(torch.allclose(model(t * x), t * f, rtol=1e-6, atol=1e-9) for t in (0.5, 0.9, 1.3))
    except RuntimeError:
        return False


def main() -> None:
    torch.set_num_threads(1)
    lines, totals = [], Counter[str]()
    for name, entry in entries():
        found = verdicts(entry)
        if not found:
            continue
        kinds = sorted({verdict.kind for verdict in found})
        notes = sorted({verdict.note for verdict in found if verdict.note})
        totals[kinds[-1] if "wrong" in kinds else "fallback" if "fallback" in kinds else kinds[0]] += 1
        note = "; ".join(notes).replace("|", "/").replace("\n", " ")
        lines.append(f"| `{name}` | {', '.join(kinds)} | {note[:160]} |")
    counts = ", ".join(f"{kind} {count}" for kind, count in totals.most_common())
    SHEET.write_text(
        HEAD.format(total=sum(totals.values()), counts=counts, torch=torch.__version__.partition("+")[0])
        + "\n".join(lines)
        + "\n"
    )
    print(counts)


HEAD = """# Operators

Torch has a database of its operators with sample inputs. `python benchmarks/conformance.py` explains each operator of
floating-point numbers in it, as x → operator → sum under LRP-0, on up to three of torch's own samples. {total}
operators of torch {torch} ran: {counts}.

- **exact**: the operator is homogeneous on the sample (f(t x) = t f(x)), and its relevance equals gradient × input;
- **closes**: what arrives at every step equals what it hands on and what it keeps by name;
- **fallback**: the same, by R = a ⊙ vjp(R / (z + ε)), which the explanation names: these decompose a matrix, draw
  random numbers or follow a recursion, and no rule of the literature says how relevance passes them;
- **refused**: an error says what cannot be explained and what to do.

| operator | verdict | note |
| --- | --- | --- |
"""

if __name__ == "__main__":
    sys.exit(main())
