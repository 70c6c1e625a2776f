"""The reader is a process of its own: bounded, without torch, and with the same result every time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.tables import COLUMNS, as_parquet, read_by_process, written
from whichopt.service.uploads import Table
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.progress import Progress

TEXT = written(COLUMNS)


def test_the_last_line_has_the_table_and_the_hash_of_what_is_kept(tmp_path: Path) -> None:
    said, result = read_by_process(tmp_path, TEXT)
    (kept,) = result.iterdir()
    assert said[-1]["file"] == kept.name
    assert said[-1]["content"] == hashlib.sha256(kept.read_bytes()).hexdigest()
    assert Table.model_validate(said[-1]["table"]).rows == 60
    assert {*map(tuple, said[:-1])} <= {("progress",)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["request.json", "result", "sent"]


def test_processes_agree_on_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = set()
    files: list[tuple[str, str | bytes, str]] = [
        ("1", TEXT, "csv"),
        ("2", TEXT, "csv"),
        ("3", as_parquet(COLUMNS), "parquet"),
    ]
    for seed, data, form in files:
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        folder = tmp_path / seed
        folder.mkdir()
        said, _ = read_by_process(folder, data, form)
        contents.add(said[-1]["content"])
    assert len(contents) == 1


def test_a_problem_is_the_last_line_and_leaves_nothing(tmp_path: Path) -> None:
    said, result = read_by_process(tmp_path, TEXT + "1,2\n")
    problem = said[-1]["problem"]
    assert (problem["code"], problem["row"]) == ("unreadable_dataset", 62)
    assert list(result.iterdir()) == []


def test_a_result_that_is_too_large_for_its_file_leaves_words(tmp_path: Path) -> None:
    said, result = read_by_process(tmp_path, TEXT, limits=Limits(table_bytes=len(TEXT) + 1000))
    assert said[-1]["problem"]["code"] == "dataset_too_large"
    assert list(result.iterdir()) == []


def test_progress_is_bounded() -> None:
    lines = list[str]()
    progress = Progress(lines.append)
    for i in range(100_001):
        progress.at(i, i / 100_000)
    assert 10 < len(lines) <= 51


def test_the_reader_loads_neither_torch_nor_the_engine_nor_a_database() -> None:
    script = (
        "import sys; from whichopt.workers.intake import __main__, taken;"
        "heavy = ('torch', 'sqlalchemy', 'celery', 'pandas', 'sklearn', 'scipy', 'fastapi', 'structlog');"
        "ours = ('whichopt.workers.intake', 'whichopt.workers.products');"
        "print([name for name in sys.modules if name in heavy"
        " or name.startswith('whichopt.workers.') and not name.startswith(ours)])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_limits_hold_for_the_process() -> None:
    script = (
        "import resource as r; from whichopt.workers.intake.limits import Limits;"
        "Limits(table_bytes=1000, memory_bytes=1 << 30, seconds=7).hold();"
        "print([r.getrlimit(k)[0] for k in (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_CORE)])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str([1 << 30, 14, 1000, 0])


def test_the_memory_of_who_starts_it_stays_flat(tmp_path: Path) -> None:
    before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    text = TEXT + "1.5,red,a\n" * 300_000
    said, _ = read_by_process(tmp_path, text)
    after = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert said[-1]["table"]["rows"] == 300_060
    assert after - before < 30 << 20


def test_a_table_is_read_without_what_images_need() -> None:
    """It takes longer to import than a small table to read."""
    code = "import sys, whichopt.workers.intake.taken; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
