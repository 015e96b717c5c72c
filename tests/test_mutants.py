"""The faults of `make mutants` still stand where they say: a source that changes takes its faults along."""

from __future__ import annotations

from pathlib import Path

from mutants.__main__ import FAULTS, not_applying

ROOT = Path(__file__).parents[1]


def test_every_fault_applies_to_the_sources():
    assert len(FAULTS) >= 100
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert list(not_applying(list(FAULTS), ROOT)) == []
    for fault in FAULTS:
        for test in fault.tests.split():
            assert (ROOT / test.split("::")[0]).exists(), f"{fault.name}: there is no {test}"
