"""The benchmark of workloads: its list, what it reads from a report, its tables, and that it goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest
import torch

from benchmarks.shared.asked_races import Asked, Collapse
from benchmarks.shared.found_races import champions_runs, found
from benchmarks.shared.race_tables import BEGIN, END, put_between_marks, written
from benchmarks.workloads import __main__ as command
from benchmarks.workloads.asked import OPTIMIZERS, WORKLOADS
from tests.builders.present import present
from tests.builders.reports import concluded_report
from whichopt.service.evidence.report.document import Report
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS

BOWL = next(asked for asked in WORKLOADS if asked.name == "quadratic_deep")
SMALL = replace(
    BOWL,
    job={**BOWL.job, "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 6}},
    collapse=Collapse("loss", below=90.0),
)


@cache
def report() -> Report:
    """The report of SMALL; trained once a process."""
    spec = SMALL.resolved()
    torch.set_num_threads(1)
    built = workload.build(spec.cataloged)
    return concluded_report(spec, lambda plans: EXECUTORS["stacked"]().run(built, plans, Unwatched()))


def test_all_are_tuned_alike() -> None:
    names = [asked.name for asked in WORKLOADS]
    assert len(set(names)) == len(names)
    for asked in WORKLOADS:
        if (why := asked.missing) is not None:
            assert why.startswith("there is no ")
            continue
        spec = asked.resolved()
        assert spec.labels == OPTIMIZERS
        assert spec.budget.replicates >= 3
        assert present(spec.budget.trials) % spec.budget.replicates == 0
        known = spec.goal.metrics
        assert asked.beside is None or asked.beside in known
        assert asked.collapse is None or asked.collapse.metric in known


def test_what_this_version_lacks_is_said() -> None:
    elsewhere = Asked(
        "elsewhere", {"workload": {"dataset": "atlantis", "model": "mlp"}}, OPTIMIZERS, paper=""
    )
    assert present(elsewhere.missing).startswith("there is no dataset 'atlantis'")
    assert BOWL.missing is None


def test_the_outcome_is_that_of_the_report() -> None:
    told = report().recommendation
    outcome = found(SMALL, report())
    assert sorted(one.optimizer for one in outcome.standings) == sorted(OPTIMIZERS)
    assert outcome.statement == told.statement
    for standing in outcome.standings:
        runs = champions_runs(report(), standing.optimizer, standing.config)
        losses = [run.metrics["test"]["loss"] for run in runs]
        assert standing.seeds == len(losses)
        assert standing.collapsed == sum(loss < 90.0 for loss in losses)
        value = present(standing.value)  # by rules 2 of the seeds after the first stage alone
        assert value.mean == pytest.approx(fmean(losses[-value.seeds :]), rel=1e-9)
    if told.verdict == "winner":
        assert outcome.by_config == f"**{told.optimizer}**"
    else:
        assert all(name in outcome.by_config for name in told.equivalent)


def test_tables_stand_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    elsewhere = Asked("elsewhere", {}, OPTIMIZERS, paper="a claim")
    text = written([found(SMALL, report())], [elsewhere])
    put_between_marks(page, text)
    put_between_marks(page, text)
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert lines.count(BEGIN) == lines.count(END) == 1
    rows = [line for line in lines if line.startswith("|")]
    assert sum("DeepOBS, tuned" in row for row in rows) == 1
    assert sum("| not measured |" in row and "a claim" in row for row in rows) == 1
    assert sum("lr " in row and " of " in row for row in rows) == len(OPTIMIZERS)
    # Every row of a table has as many cells as its head.
    for before, row in pairwise(lines):
        if before.startswith("|") and row.startswith("|"):
            assert before.count("|") == row.count("|")


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no lines"):
        put_between_marks(page, "text")
    assert page.read_text() == "no marks"


def test_the_docs_have_the_marks() -> None:
    text = Path("docs/workloads.md").read_text()
    assert 0 < text.index(BEGIN) < text.index(END)


@pytest.mark.journey
def test_a_second_start_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--quick", "--only", BOWL.name, "--data", str(tmp_path / "data")]
    for file in ("first.json", "second.json"):
        assert command.main([*asked, "--json", str(tmp_path / file)]) == 0
    first, second = (json.loads((tmp_path / file).read_text()) for file in ("first.json", "second.json"))
    assert first["outcomes"] == second["outcomes"]
    (outcome,) = first["outcomes"]
    assert sorted(row["optimizer"] for row in outcome["standings"]) == sorted(OPTIMIZERS)
    assert capsys.readouterr().err.count("queued") == 1
