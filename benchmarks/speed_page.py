"""What speed.py measured, as a page of the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memory_kept import MOVES

PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
PEERS = ("zennit", "captum", "Quantus", "  ours")


def write(results: dict[str, Any]) -> None:
    """Write docs/speed.md from what was measured."""
    networks: dict[str, dict[str, Any]] = results["networks"]
    PAGE.write_text(
        "# How long an explanation takes\n\n"
        "`make bench` writes this page. Times are ratios to one forward pass and autograd's way back to the input, "
        "the *floor*, measured in turns\nin one process; each is the median of the rounds. Aims stand in brackets: "
        "they were set on\nanother machine before there was an engine. *The layers alone* are the least it can take "
        "on this one: convolutions and dense layers\nforward and back, all weights packed, and nothing between.\n\n"
        + _table([title for title in _titles(networks) if not title.startswith(PEERS)], networks)
        + "\n## Beside others\n\nThe same composite on the same input; pixel flipping is a ratio to one forward "
        "pass of sixteen, a row.\n\n"
        + _table([title for title in _titles(networks) if title.startswith(PEERS)], networks)
        + f"\ntorch {results['torch']}, {results['threads']} threads, {results['processor']}, "
        f"Python {results['python']}. Networks of torchvision at 224 × 224, batch 1, untrained.\n",
        encoding="utf-8",
    )  # fmt: skip


def _titles(networks: dict[str, dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(title for result in networks.values() for title in result["ratio"]))


def _table(titles: list[str], networks: dict[str, dict[str, Any]]) -> str:
    lines = ["| | " + " | ".join(networks) + " |", "| --- |" + " --- |" * len(networks)]
    if not titles[0].startswith(PEERS):
        floors = [f"{1000 * result['s']['floor']:.0f} ms" for result in networks.values()]
        lines.append("| floor | " + " | ".join(floors) + " |")
    for title in titles:
        cells = [_cell(result, title) for result in networks.values()]
        lines.append(f"| {title.strip()} | " + " | ".join(cells) + " |")
    if not titles[0].startswith(PEERS):
        lines += [
            "| α between exact maps: off by, of max\\|R\\| | "
            + " | ".join(f"{f['interpolated, off']:.0e}, {f['interpolated, maps']} maps" for f in networks.values())
            + " |",
            "| abandoned after | "
            + " | ".join(f"{1000 * f['abandoned after, s']['worst']:.0f} ms" for f in networks.values())
            + " |",
            "| the ledger's share of an α move | "
            + " | ".join(f"{100 * max(0, f['ledger, share of an α move']):.0f} %" for f in networks.values())
            + " |",
            "| memory kept beside the model, at most | " + " | ".join(map(_memory, networks.values())) + " |",
        ]
    return "\n".join(lines) + "\n"


def _cell(result: dict[str, Any], title: str) -> str:
    if title not in result["ratio"]:
        return "–"
    aim = result["aim"].get(title)
    return f"{result['ratio'][title]:.2f}" + (f" ({aim:g})" if aim is not None else "")


def _memory(result: dict[str, Any]) -> str:
    sizes, growth = result["memory"]["kept, MiB"], result["memory"]["growth, MiB"]
    after = "" if growth is None else f", {growth:+.1f} after {MOVES:,} moves"
    return f"{max(sizes.values()):.0f} MiB{after}"
