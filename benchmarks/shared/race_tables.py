"""The outcome as tables: on the terminal, and in the documentation between two marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.shared.asked_races import Asked
from benchmarks.shared.found_races import Found, Standing

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

SHOWN = (
    "lr",
    "betas",
    "momentum",
    "nesterov",
    "eps",
    "b0",
    "weight_decay",
    "batch_size",
    "batch_eta",
    "batch_start",
    "batch_growth",
)
"""Hyperparameters that a config's cell has, in this order; of some optimizers there are fewer."""


def table(outcome: Found) -> Table:
    """Return the standings of a workload for a terminal."""
    made = Table(
        title=f"{outcome.asked.name}: {_plain(outcome.by_config)} (config), {_plain(outcome.by_optimizer)} "
        f"(optimizer); {outcome.seconds:.0f} s of training"
    )
    for name in _columns(outcome):
        made.add_column(name, overflow="fold")
    for standing in outcome.standings:
        made.add_row(*_cells(outcome, standing))
    return made


def written(outcomes: Sequence[Found], missing: Sequence[Asked]) -> str:
    """Return the tables as the documentation has them."""
    return "\n".join([*_summary(outcomes, missing), *(line for one in outcomes for line in _details(one))])


def put_between_marks(file: Path, text: str) -> None:
    """Replace what stands between the marks of a page.

    Raises:
        ValueError: it has no such marks.
    """
    page = file.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file} has no lines {BEGIN!r} and {END!r}")
    file.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}")


def _summary(outcomes: Sequence[Found], missing: Sequence[Asked]) -> Iterator[str]:
    asked_all = [*(one.asked for one in outcomes), *missing]
    names = list(dict.fromkeys(label for asked in asked_all for label in asked.labels))
    yield f"| workload | {' | '.join(names)} | best config | best optimizer, tuned | the paper |"
    yield "|---|" + "---|" * (len(names) + 3)
    for one in outcomes:
        values = {standing.optimizer: _value(standing) for standing in one.standings}
        cells = [values.get(name, "") for name in names]
        yield f"| {' | '.join([_title(one), *cells, one.by_config, one.by_optimizer, one.asked.paper])} |"
    for asked in missing:
        yield f"| {asked.name} |{' |' * len(names)} not measured | not measured | {asked.paper} |"
    yield ""


def _details(outcome: Found) -> Iterator[str]:
    columns = _columns(outcome)
    yield f"### {outcome.asked.name}"
    yield ""
    yield f"{outcome.statement} {outcome.optimizer_statement}"
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for standing in outcome.standings:
        yield f"| {' | '.join(_cells(outcome, standing))} |"
    yield ""


def _title(outcome: Found) -> str:
    return f"{outcome.asked.name} ({outcome.metric})"


def _columns(outcome: Found) -> list[str]:
    beside, collapse = outcome.asked.beside, outcome.asked.collapse
    return [
        "optimizer",
        f"test {outcome.metric}",
        *([] if beside is None else [beside]),
        *([] if collapse is None else [f"runs with {collapse.metric} below {collapse.below:g}"]),
        "best config",
        "trials",
        "seconds",
    ]


def _cells(outcome: Found, standing: Standing) -> list[str]:
    beside, collapse = outcome.asked.beside, outcome.asked.collapse
    return [
        standing.optimizer,
        _value(standing),
        *([] if beside is None else ["" if standing.beside is None else f"{standing.beside:.4g}"]),
        *([] if collapse is None else [f"{standing.collapsed} of {standing.seeds}"]),
        _config(standing.config),
        str(standing.trials),
        f"{standing.seconds:.0f}",
    ]


def _value(standing: Standing) -> str:
    value = standing.value
    if value is None:
        return f"diverged on {standing.diverged} of {standing.seeds} seeds"
    if value.low is None or value.high is None:
        return f"{value.mean:.5g}"
    return f"{value.mean:.5g} ({value.low:.5g} to {value.high:.5g})"


def _config(config: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_short(config[name])}" for name in SHOWN if name in config)


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(_short, value)) + ")"
    return str(value) if isinstance(value, bool) or value is None else f"{value:.3g}"


def _plain(words: str) -> str:
    return words.replace("**", "")
