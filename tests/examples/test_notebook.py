"""The notebook runs from its first cell to its last, and again: then it shows at once what it knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from whichopt.service.evidence.report.files import read_report
from whichopt.service.evidence.report.verify import verify

NOTEBOOK = Path(__file__).parent.parent.parent / "examples" / "own_function.ipynb"
SMALL = 'budget = {"trials": 2, "replicates": 1, "confirm_seeds": 3, "optimizers": ["adamw", "sgd"]}'
"""In the place of the minutes that the notebook gives, which a busy machine may find too few."""


def executed(folder: Path) -> Any:
    """Return the notebook as a kernel in that folder has executed it, with a small budget."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    parameters.source = SMALL
    client = nbclient.NotebookClient(
        notebook, timeout=2400, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return notebook


def printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.mark.examples
@pytest.mark.timeout(3000)
@pytest.mark.filterwarnings("ignore")  # of zmq and jupyter
def test_the_notebook_is_answered_and_then_shows_what_it_knows(tmp_path: Path) -> None:
    first = executed(tmp_path)
    *_, tuning, final = [cell for cell in first.cells if cell.cell_type == "code"]
    assert "trials" in printed(tuning)
    *_, shown = final.outputs
    html, text = shown.data["text/html"], shown.data["text/plain"]
    assert html.startswith("<p>Which config to deploy? ")
    assert "<table>" in html
    assert all(f"<td>{name}</td>" in html for name in ("adamw", "sgd"))
    assert "auc" in printed(final), "what the final training scores"
    assert "object at 0x" not in text
    assert verify(read_report(tmp_path / "tumors.html")).outcome == "confirmed"

    again = executed(tmp_path)
    *_, tuning, final = [cell for cell in again.cells if cell.cell_type == "code"]
    assert "has answered this already" in printed(tuning)
    assert "rehearsing" not in printed(tuning)
    assert final.outputs[-1].data["text/html"] == html


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    sources = ["".join(cell["source"]) for cell in cells]
    assert any("minutes" in source for source in sources)
    assert sources[-1].endswith("\nbest")
