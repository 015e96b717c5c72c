"""The notebooks that compute are run to their end, on little."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the client's own event loop
def test_the_papers_claims_on_three_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = tmp_path / "report.md"
    for name, value in (("IMAGES", 3), ("JOBS", 1), ("REPORT", written), ("STORE", tmp_path / "store")):
        monkeypatch.setenv(f"LRP_WIDGETS_{name}", str(value))
    notebook = nbformat.read(NOTEBOOKS / "paper_quality.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600).execute()
    report = written.read_text(encoding="utf-8")
    assert "Images: 3 of scikit-learn's digits at 28×28: 3 of the test part" in report
    known = (NOTEBOOKS.parent / "docs" / "paper_quality.md").read_text(encoding="utf-8")
    headings = [[line for line in text.splitlines() if line.startswith("#")] for text in (report, known)]
    assert headings[0] == headings[1]  # the page is what this notebook writes
    assert "500 of scikit-learn's digits" in known
