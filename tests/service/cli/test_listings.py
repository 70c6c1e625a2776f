"""Tables of the command line: readable in 80 columns, whole in a pipe."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job, running_job
from tests.builders.jobs import make_spec
from tests.builders.services import KEY
from whichopt.service.cli import app
from whichopt.service.cli.listings import PIPED_WIDTH, Heading, Listing, shortened
from whichopt.service.cli.tables import job_summary, job_table, trial_table
from whichopt.service.cli.verdict_tables import recommendation_panel, recommendation_table
from whichopt.service.db import Store
from whichopt.service.evidence.report.files import read_report
from whichopt.service.views import JobView, OverExamples, Recommendation, TrialView

RUN = CliRunner()
LONG = "sgd-with-a-label-that-is-as-long-as-labels-may-be-0123456789abcd"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
REPORT = Path(__file__).parents[2] / "earlier" / "0.1" / "reports" / "finished.html"


def drawn(what: RenderableType, *, width: int | None) -> str:
    """What a terminal of that width shows, or with None a pipe."""
    console = Console(
        width=width or PIPED_WIDTH,
        force_terminal=width is not None,
        color_system=None,
        file=io.StringIO(),
    )
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return ESCAPES.sub("", console.file.getvalue())


@pytest.fixture
def jobs(lite: Store) -> list[JobView]:
    """A job with long labels and a long name, and two more."""
    many = [{"name": "sgd", "label": LONG}, *(f"ada{kind}" for kind in ("belief", "mw"))]
    running_job(lite, make_spec(name="a name " * 20, optimizers=many))
    concluded_job(lite)
    running_job(lite)
    with lite.read() as tx:
        return tx.views.jobs(state=None, before=None, limit=10, alive_s=15).items


@pytest.fixture
def trials(lite: Store, jobs: list[JobView]) -> list[TrialView]:
    with lite.read() as tx:
        job_id = tx.jobs.id_of(jobs[-1].id)
        assert job_id is not None
        return tx.views.trials(job_id, limit=100).items


@pytest.fixture
def recommendation() -> Recommendation:
    """An earlier one, of which one optimizer has the longest label and the longest numbers."""
    found = read_report(REPORT).recommendation.model_dump()
    relabeled = {"sgd-plain": LONG}
    for row in (*found["ranking"], *found["optimizer_verdict"]["differences"]):
        row["optimizer"] = relabeled.get(row["optimizer"], row["optimizer"])
    found["optimizer_verdict"]["equivalent"] = ["adabelief", "adamw"]
    found["ranking"][1]["value"] |= {"mean": -12345.6789, "low": -23456.789, "high": -1234.56789}
    found["ranking"][1]["difference"] |= {"mean": 12345.6789, "low": -23456.789, "high": 123456.789}
    return Recommendation.model_validate(found)


def heads(text: str, *titles: str) -> None:
    line = next(line for line in text.splitlines() if titles[0] in line)
    for title in titles:
        assert title in line


def test_a_list_of_jobs_fits_80_columns(jobs: list[JobView]) -> None:
    text = drawn(job_table(jobs), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    heads(text, "id", "state", "trials", "workload", "name")
    for job, short in zip(jobs, shortened([job.id for job in jobs]), strict=True):
        assert any(line.startswith(f"{short} ") for line in text.splitlines()), "its row begins with its id"
        assert job.id not in text
    assert "created" in drawn(job_table(jobs), width=200)
    assert jobs[0].id in drawn(job_table(jobs), width=240), "a wide terminal has room for whole ids"


def test_a_job_and_its_trials_fit_80_columns(jobs: list[JobView], trials: list[TrialView]) -> None:
    summary = drawn(job_summary(jobs[-1]), width=80)
    heads(summary, "optimizer", "trials", "pruned", "diverged", "best (validation)")
    assert jobs[-1].id in summary
    table = drawn(trial_table(trials), width=80)
    heads(table, "optimizer", "phase", "study", "no.", "state", "value", "config")
    assert all(f"lr={trial.config['lr']:.4g}" in table for trial in trials)
    for text in (summary, table):
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
        folded = "".join(line.split(" ")[0] for line in text.splitlines())
        assert LONG in folded, "the label is folded, not cut"


def test_a_recommendation_fits_80_columns(recommendation: Recommendation) -> None:
    text = drawn(recommendation_panel(recommendation), width=80)
    heads(text, "optimizer", "test nll", "behind the best", "P(best)", "default")
    listed = drawn(recommendation_table([recommendation, recommendation]), width=80)
    heads(listed, "job", "verdict", "optimizer", "value", "workload", "config")
    for one in (text, listed):
        assert max(map(len, one.splitlines())) <= 80
        assert "…" not in one


@pytest.mark.parametrize(
    ("holds", "rival", "said"),
    [
        (True, "sgd", "lead over sgd 0.2 [0.1, 0.3], by 1,036 examples and 8 seeds: it would hold"),
        (False, "sgd", "and 8 seeds: not shown to hold"),
        (None, "the pick", "lead over its default 0.2 [0.1, 0.3], by 1,036 examples and 8 seeds"),
    ],
)
def test_the_lead_on_new_examples_has_a_line(
    recommendation: Recommendation, holds: bool | None, rival: str, said: str
) -> None:
    over = OverExamples(
        rival=str(recommendation.optimizer) if rival == "the pick" else rival,
        mean=0.2,
        low=0.1,
        high=0.3,
        examples=1036,
        kept=1036,
        seeds=8,
        level=0.95,
        holds=holds,
    )
    told = recommendation.model_copy(update={"over_examples": over})
    text = " ".join(drawn(recommendation_panel(told), width=None).split())
    assert said in text
    untold = recommendation.model_copy(update={"over_examples": None})
    assert "new examples" not in drawn(recommendation_panel(untold), width=None)


def test_the_verdict_on_optimizers_has_a_table(recommendation: Recommendation) -> None:
    lines = drawn(recommendation_panel(recommendation), width=None).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Optimizers: how far behind the best"))
    assert "the means over 2 studies of each" in lines[at]
    table = [line.split() for line in lines[at + 1 : at + 5]]
    assert " ".join(table[0]) == "optimizer behind the best shown to be worse P(best) in percent"
    assert " ".join(table[1]) == "adabelief - the best 0.79 -"
    for row in recommendation.optimizer_verdict.differences:
        (cells,) = [cells for cells in table if cells[0] == row.optimizer]
        assert cells[1:4] == [f"{row.mean:.3g}", f"[{row.low:.3g},", f"{row.high:.3g}]"]
        assert cells[4] == ("no" if row.optimizer == "adamw" else "yes")


def test_a_pipe_gets_whole_rows(
    jobs: list[JobView], trials: list[TrialView], recommendation: Recommendation
) -> None:
    rows = drawn(job_table(jobs), width=None).splitlines()
    assert [row.split()[0] for row in rows] == ["id", *(job.id for job in jobs)]
    assert {row.split()[1] for row in rows[1:]} == {"running", "succeeded"}
    assert rows[-1].endswith(" ".join(str(jobs[-1].name).split())), "a name is neither cut nor wrapped"
    rows = drawn(trial_table(trials), width=None).splitlines()
    assert len(rows) == 1 + len(trials)
    assert {len(row.split()) for row in rows[1:]} >= {8 + len(trials[0].config) - 1}
    ranking = drawn(recommendation_panel(recommendation), width=None)
    assert "╭" not in ranking
    assert len(drawn(recommendation_table([recommendation]), width=None).splitlines()) == 2


def test_cells_are_plain_text() -> None:
    listing = Listing([Heading("name")], [("[red]x[/red]",), ("two\nlines",), ("",)])
    assert drawn(listing, width=None).splitlines() == ["name", "[red]x[/red]", "two lines", "-"]
    assert "[red]x[/red]" in drawn(listing, width=40)


def test_ids_are_as_short_as_they_can_be_told_apart() -> None:
    alike = ["01a2-aaaa11112222", "01a2-bbbb11112222", "01a2-cccc33334444"]
    assert shortened(alike) == ["a11112222", "b11112222", "c33334444"]
    assert shortened(alike[1:]) == ["11112222", "33334444"]
    assert shortened([alike[0], alike[0]]) == ["11112222", "11112222"]


def test_a_command_in_a_terminal_and_in_a_pipe(jobs: list[JobView], url: str) -> None:
    command = [sys.executable, "-m", "whichopt.service.cli", "show", "--url", url, "--key", KEY]
    environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"}
    environment.pop("COLUMNS", None)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 10_000):
            seen += piece
    except OSError:  # the terminal ends with the process
        pass
    assert process.wait() == 0, seen
    os.close(ours)
    lines = ESCAPES.sub("", seen.decode()).splitlines()
    heads("\n".join(lines), "id", "state", "trials", "workload")
    assert max(map(len, lines)) <= 80
    shorts = shortened([job.id for job in jobs])
    assert all(any(line.startswith(short) for line in lines) for short in shorts)

    forced = {**environment, "COLUMNS": "80", "FORCE_COLOR": "1"}
    piped = subprocess.run(command, env=forced, capture_output=True, text=True, check=True)
    assert "\x1b" not in piped.stdout
    assert [line.split()[0] for line in piped.stdout.splitlines()] == ["id", *(job.id for job in jobs)]


def test_json_has_whole_ids(jobs: list[JobView], url: str) -> None:
    found = RUN.invoke(app, ["show", "--json", "--url", url, "--key", KEY])
    assert all(f'"{job.id}"' in found.stdout for job in jobs)
