"""The file beside a report: the values by example of its confirm runs, if they are too many for its JSON.

The report names the file with its SHA-256, and that hash is in the report's own checksum. So nothing is
missing from what can be checked, once both are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.by_example import packed, unpacked
from whichopt.service.errors import InvalidReport
from whichopt.service.records import RecordedTrial

MOST_BYTES = 24 * 2**20
"""Bytes of values by example that a report's JSON still holds."""

TrialT = TypeVar("TrialT", bound=RecordedTrial)


class Beside(BaseModel):
    """A file that belongs to a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name of the file.", pattern=r"^[A-Za-z0-9._-]+$")
    sha256: str
    bytes: int = Field(ge=1)
    trials: tuple[int, ...] = Field(
        min_length=1,
        description="Places of the trials whose values are in the file, in its order; each has as many.",
    )


class Apart(NamedTuple):
    """Trials without their values by example, and the file that has these."""

    trials: list[RecordedTrial]
    beside: Beside | None
    content: bytes


def set_apart(job_id: str, trials: Sequence[RecordedTrial]) -> Apart:
    """Take the values by example out of the trials, if they have more than `MOST_BYTES`."""
    kept = {at: text for at, trial in enumerate(trials) if (text := _values(trial)) is not None}
    if sum(3 * len(text) // 4 for text in kept.values()) <= MOST_BYTES:
        return Apart(list(trials), None, b"")
    content = b"".join(map(unpacked, kept.values()))
    beside = Beside(
        name=beside_name(job_id),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        trials=tuple(kept),
    )
    return Apart([_with(trial, None) for trial in trials], beside, content)


def beside_name(job_id: str) -> str:
    """Return the name of the file beside the job's report."""
    return f"whichopt-{job_id}.examples"


def put_back(trials: Sequence[RecordedTrial], beside: Beside, content: bytes) -> tuple[RecordedTrial, ...]:
    """Return the trials with their values by example, which are the content of the file.

    Raises:
        InvalidReport: it is not the file that the report names, or not for these trials.
    """
    _check_size(beside, len(content))
    if hashlib.sha256(content).hexdigest() != beside.sha256:
        raise InvalidReport(
            f"{beside.name} is not the file that the report names: its SHA-256 is not {beside.sha256}; save "
            "it again from where the report came from",
            field="examples.sha256",
            value=beside.sha256,
        )
    each, rest = divmod(len(content), len(beside.trials))
    if rest or max(beside.trials) >= len(trials) or min(beside.trials) < 0:
        raise InvalidReport(
            f"{beside.name} does not fit the report's {len(trials)} trials", field="examples.trials"
        )
    whole = list(trials)
    for place, at in enumerate(beside.trials):
        whole[at] = _with(whole[at], packed(content[place * each : (place + 1) * each]))
    return tuple(whole)


def _check_size(beside: Beside, size: int) -> None:
    if size != beside.bytes:
        raise InvalidReport(
            f"{beside.name} is not the file that the report names: it has {size:,} bytes, not "
            f"{beside.bytes:,}; save it again from where the report came from",
            field="examples.bytes",
            value=beside.bytes,
        )


def without_values(trials: Sequence[TrialT]) -> list[TrialT]:
    """Return the trials as a report has them that names a file for their values."""
    return [_with(trial, None) for trial in trials]


def content_beside(report: Path, beside: Beside) -> bytes | None:
    """Return the content of the file in the report's folder; None if it is not there.

    Raises:
        InvalidReport: it cannot be read, or has another size than the report says.
    """
    path = report.parent / beside.name
    try:
        if path.is_file():  # before it is read: another file of that name may be of any size
            _check_size(beside, path.stat().st_size)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidReport(f"cannot read {path}: {error.strerror}") from None


def missing(beside: Beside) -> str:
    """Say what is missing if the file is not there, and what to do."""
    return (
        f"The values by example of {len(beside.trials)} confirm runs are in the file {beside.name} "
        f"({beside.bytes / 2**20:.0f} MB), which is not beside the report. So the lead over seeds and "
        "examples was not checked: save the file in the report's folder, from /v1/jobs/ID/report/examples or "
        "from where the report came from."
    )


def _values(trial: RecordedTrial) -> str | None:
    return None if trial.result is None else trial.result.by_example


def _with(trial: TrialT, values: str | None) -> TrialT:
    if trial.result is None:
        return trial
    return trial.model_copy(update={"result": trial.result.with_examples(values)})
