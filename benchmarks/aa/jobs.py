"""Jobs drawn from a pool, and what the product concludes from them: every named optimizer winner is false.

A drawn job has K names for the one optimizer, R replicates and S fresh seeds. Its replicates are R groups of
the pool, and in each the names get K of the group's studies, all drawn without replacement; its seeds are S
of the pool's, in random order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.aa.pool import Key, Pool, PoolStudy, label
from whichopt.service.catalog.built_in import built_in
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, Ties
from whichopt.service.evidence.verdict.stopping import reason_to_stop_at
from whichopt.service.evidence.verdict.winners import config_verdict, study_verdict
from whichopt.service.planning.finalists import Finalist
from whichopt.service.planning.looks import Look, looks
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Trial


@dataclass(frozen=True)
class JobSample:
    """`groups` by replicate, `members` (which study of its group) by name and replicate, `seeds` in order."""

    groups: tuple[int, ...]
    members: tuple[tuple[int, ...], ...]
    seeds: tuple[int, ...]

    def studies(self, pool: Pool) -> list[list[PoolStudy]]:
        """By name, then by replicate."""
        return [
            [pool.groups[group][member] for group, member in zip(self.groups, members_of_name, strict=True)]
            for members_of_name in self.members
        ]


def simulate_jobs(
    pool: Pool, names: int, replicates: int, seeds: int, jobs: int, seed: int
) -> Iterator[JobSample]:
    random = np.random.default_rng([seed, names, replicates, seeds])
    each = len(pool.groups[0])
    for _ in range(jobs):
        members = [random.permutation(each)[:names].tolist() for _ in range(replicates)]
        yield JobSample(
            groups=tuple(random.permutation(len(pool.groups))[:replicates].tolist()),
            members=tuple(zip(*members, strict=True)),
            seeds=tuple(random.permutation(pool.setting.fresh)[:seeds].tolist()),
        )


def spec_of(pool: Pool, sample: JobSample) -> ResolvedSpec:
    """The spec of a drawn job."""
    return pool.setting.spec(len(sample.members), len(sample.groups), seed=0, confirm_seeds=len(sample.seeds))


@dataclass(frozen=True)
class Conclusion:
    """What the product said: the winners' names by number, None in a tie; the winner's config; its seeds."""

    config: int | None
    arm: Key | None
    optimizer: int | None
    seeds: int


def conclude(pool: Pool, sample: JobSample, *, staged: bool) -> Conclusion:
    """The product's two verdicts on the drawn job: at the look where confirm stops, or at all its seeds."""
    most = len(sample.seeds)
    planned = looks(most) if staged else (most,)
    for seeds in planned:
        look = Look(planned, seeds)
        table = confirm_table(pool, sample, seeds)
        if not look.further or reason_to_stop_at(table, look, margin=None, risk=None, seed=0) is not None:
            return _concluded(table, look, len(sample.groups))
    raise AssertionError("after the last look there is none")


def _concluded(table: ConfirmTable, look: Look, replicates: int) -> Conclusion:
    config = config_verdict(table, alpha=look.config_level)
    study = study_verdict(table, replicates, alpha=lambda alpha: look.study_level(alpha, replicates))
    best = table.arms[config.best]
    named = config.verdict == "winner"
    return Conclusion(
        config=table.labels.index(best.label) if named else None,
        arm=best.key[1] if named else None,
        optimizer=table.labels.index(study.best) if study is not None and study.verdict == "winner" else None,
        seeds=look.seeds,
    )


def confirm_table(pool: Pool, sample: JobSample, seeds: int) -> ConfirmTable:
    """What `read_confirm_table` reads from `as_trials`, without the detour."""
    arms: list[Finalist] = []
    for name, studies in enumerate(sample.studies(pool)):
        chosen: dict[Key, list[int]] = {}
        for replicate, study in enumerate(studies):
            chosen.setdefault(study.key, []).append(replicate)
        chosen.setdefault(pool.default_key, [])
        arms += [
            _arm(pool, label(name), config, replicates, studies) for config, replicates in chosen.items()
        ]
    fresh = sample.seeds[:seeds]
    runs = [[pool.runs[arm.key[1]][seed] for seed in fresh] for arm in arms]
    metric = pool.goal.metric
    return ConfirmTable(
        arms=tuple(arms),
        seeds=tuple(range(seeds)),
        values=tuple(tuple(pool.values[arm.key[1]][seed] for seed in fresh) for arm in arms),
        validation=tuple(
            None
            if any(run.value is None for run in row)
            else tuple(run.metrics["validation"][metric] for run in row)
            for row in runs
        ),
        diverged=tuple(sum(run.value is None for run in row) for row in runs),
        sign=pool.sign,
        ties={arm.label: _ties(arm.optimizer) for arm in arms},
    )


def _ties(name: str) -> Ties:
    catalog = built_in()
    entry = catalog.optimizer(name)
    return Ties(entry.state_bytes, catalog.optimizers.index(entry))


def _arm(pool: Pool, name: str, config: Key, replicates: list[int], studies: list[PoolStudy]) -> Finalist:
    first = studies[replicates[0]] if replicates else None
    is_default = config == pool.default_key
    return Finalist(
        label=name,
        optimizer=pool.setting.optimizer,
        config=pool.default if first is None else first.chosen,
        replicates=tuple(replicates),
        is_default=is_default,
        origin=Origin.DEFAULT if is_default or first is None else first.origin,
        searched_value=None if first is None else first.searched_value,
    )


def as_trials(pool: Pool, sample: JobSample) -> list[Trial]:
    """The drawn job as the database would have it: search and confirm trials, under its own names."""
    trials = []
    for name, studies in enumerate(sample.studies(pool)):
        for replicate, study in enumerate(studies):
            for trial in study.trials:
                changes = {"label": label(name), "replicate": replicate}
                trials.append(trial.model_copy(update={"plan": trial.plan.model_copy(update=changes)}))
    like = trials[0].plan
    for arm in confirm_table(pool, sample, 1).arms:
        for number, seed in enumerate(sample.seeds):
            result = pool.runs[arm.key[1]][seed]
            changes = {"label": arm.label, "config": arm.config, "origin": arm.origin, "number": number}
            plan = like.model_copy(update={**changes, "phase": Phase.CONFIRM, "replicate": arm.replicate})
            trials.append(Trial(plan=plan, state=result.state, result=result))
    return trials
