"""Samples that are made up, and jobs whose finalists have made them."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Sequence

from tests.builders.confirming_jobs import close_race, searched
from tests.builders.trials import confirm
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Sample, Trial, TrialPlan, TrialResult

MakeSample = Callable[[TrialPlan], Sample]


def points_sample(count: int = 64, radius: float = 1.0, modes: int = 8) -> Sample:
    """Points in spots on a circle."""
    places = []
    for i in range(count):
        angle, off = 2 * math.pi * (i % modes) / modes, 0.05 * (i // modes % 5 - 2)
        places += [radius * math.cos(angle) + off, radius * math.sin(angle) - off / 2]
    return Sample(kind="points", content=_packed(struct.pack(f"<{len(places)}f", *places)), shape=(count, 2))


def images_sample(count: int = 64, channels: int = 1, size: int = 8) -> Sample:
    """Images each of which has one bright column."""
    content = bytearray()
    for i in range(count):
        for channel in range(channels):
            line = [255 if x == (i + channel) % size else 16 * x % 256 for x in range(size)]
            content += bytes(line) * size
    return Sample(kind="images", content=_packed(bytes(content)), shape=(count, channels, size, size))


def text_sample(text: str = "the cat <b>sat</b>\non the\tmat\x00 & \u202eran") -> Sample:
    """Text with all that a page must not take as it comes."""
    return Sample(kind="text", content=text)


def job_with_samples(spec: ResolvedSpec, make: MakeSample) -> list[Trial]:
    """The trials of a job whose finalists each have made something on the first fresh seed."""
    return with_samples(confirm(spec, searched(spec), close_race(spec)), make)


def with_samples(trials: Sequence[Trial], make: MakeSample) -> list[Trial]:
    """The trials with what their networks have made, if they are such as make something."""
    return [
        trial
        if trial.result is None
        else trial.model_copy(update={"result": with_sample(trial.plan, trial.result, make)})
        for trial in trials
    ]


def with_sample(plan: TrialPlan, result: TrialResult, make: MakeSample) -> TrialResult:
    """The result with what its network has made, if it is such as makes something."""
    if plan.phase is not Phase.CONFIRM or plan.number or result.state is not TrialState.COMPLETE:
        return result
    return result.model_copy(update={"sample": make(plan)})


def _packed(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
