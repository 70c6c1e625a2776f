"""What the terminal shows of a text that was sent."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.builders.texts import FILE, prose, taken_text
from whichopt.service.cli.dataset_tables import dataset_summary
from whichopt.service.states import DatasetState
from whichopt.service.uploads import Choices
from whichopt.service.views.datasets import DatasetProgress, DatasetView


def test_a_text_is_told_by_its_tokens_and_its_first_lines(tmp_path: Path) -> None:
    """Without what a terminal would obey."""
    text = "\x1b[31mred\n" + prose()
    view = DatasetView(
        name="book",
        state=DatasetState.READY,
        progress=DatasetProgress(bytes=1),
        file=FILE,
        choices=Choices(task="language"),
        table=taken_text(tmp_path, text).remarked(),
        created_at=datetime.now(UTC),
    )
    file = io.StringIO()
    Console(width=200, file=file).print(dataset_summary(view))
    told = " ".join(file.getvalue().split())
    assert f"{len(text):,} characters in" in told
    assert "in_order, in windows of 64 characters" in told
    assert prose().splitlines()[0] in told
    assert "\N{REPLACEMENT CHARACTER}[31mred" in told
    assert "\x1b" not in told
    assert 'Use it in a job as {"dataset": "book"}' in told
