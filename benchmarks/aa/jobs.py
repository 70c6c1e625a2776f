"""Jobs drawn from a pool, and what the product concludes from them: every named optimizer winner is false.

A drawn job has K names for the one optimizer, R replicates and a budget of S fresh seeds. Its replicates are
R groups of the pool, and in each the names get K of the group's studies, all drawn without replacement; its
seeds are as many of the pool's as a champion may have, in random order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.aa.pool import Key, Pool, PoolStudy, label
from whichopt.service.catalog.built_in import built_in
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, Ties, champions
from whichopt.service.evidence.verdict.stopping import reason_to_stop_at
from whichopt.service.evidence.verdict.winners import config_verdict, study_verdict
from whichopt.service.planning.finalists import Finalist
from whichopt.service.planning.looks import Look, champion_looks, first_stage, look_of, planned_looks
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Trial
from whichopt.service.versions import RULES


@dataclass(frozen=True)
class JobSample:
    """`groups` by replicate, `members` (which study of its group) by name and replicate, `seeds` in order;
    `confirm_seeds` are those of its budget."""

    groups: tuple[int, ...]
    members: tuple[tuple[int, ...], ...]
    seeds: tuple[int, ...]
    confirm_seeds: int

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
    first = first_stage(seeds)
    most = first + champion_looks(seeds, names * (replicates + 1), names)[-1]
    for _ in range(jobs):
        members = [random.permutation(each)[:names].tolist() for _ in range(replicates)]
        yield JobSample(
            groups=tuple(random.permutation(len(pool.groups))[:replicates].tolist()),
            members=tuple(zip(*members, strict=True)),
            seeds=tuple(random.permutation(pool.setting.fresh)[:most].tolist()),
            confirm_seeds=seeds,
        )


def spec_of(pool: Pool, sample: JobSample) -> ResolvedSpec:
    """The spec of a drawn job."""
    return pool.setting.spec(
        len(sample.members), len(sample.groups), seed=0, confirm_seeds=sample.confirm_seeds
    )


@dataclass(frozen=True)
class Conclusion:
    """What the product said: the winners' names by number, None in a tie; the winner's config; its seeds."""

    config: int | None
    arm: Key | None
    optimizer: int | None
    seeds: int


def conclude(pool: Pool, sample: JobSample, *, staged: bool) -> Conclusion:
    """The product's two verdicts on the drawn job, where confirm stops or at the end of its first stage."""
    spec = spec_of(pool, sample)
    finalists = len(confirm_table(pool, sample, 1).arms)
    for seeds in planned_looks(spec, finalists):
        look = look_of(spec, seeds, finalists)
        table = confirm_table(pool, sample, seeds)
        stops = reason_to_stop_at(table, look, margin=None, risk=None, seed=0) is not None
        if not staged or not look.further or stops:
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
    """What `read_confirm_table` reads from `as_trials` after so many fresh seeds, without the detour."""
    arms: list[Finalist] = []
    for name, studies in enumerate(sample.studies(pool)):
        chosen: dict[Key, list[int]] = {}
        for replicate, study in enumerate(studies):
            chosen.setdefault(study.key, []).append(replicate)
        chosen.setdefault(pool.default_key, [])
        arms += [
            _arm(pool, label(name), config, replicates, studies) for config, replicates in chosen.items()
        ]
    stage = planned_looks(spec_of(pool, sample), len(arms))[0]
    first = _table(pool, sample, arms, range(min(seeds, stage)), None)
    return first if seeds <= stage else _table(pool, sample, champions(first), range(stage, seeds), first)


def _table(
    pool: Pool, sample: JobSample, arms: Sequence[Finalist], seeds: range, first: ConfirmTable | None
) -> ConfirmTable:
    fresh = [sample.seeds[number] for number in seeds]
    runs = [[pool.runs[arm.key[1]][seed] for seed in fresh] for arm in arms]
    metric = pool.goal.metric
    counted = sample.seeds[: seeds.stop]
    return ConfirmTable(
        arms=tuple(arms),
        seeds=tuple(seeds),
        values=tuple(tuple(pool.values[arm.key[1]][seed] for seed in fresh) for arm in arms),
        validation=tuple(
            None
            if any(run.value is None for run in row)
            else tuple(run.metrics["validation"][metric] for run in row)
            for row in runs
        ),
        diverged=tuple(sum(pool.runs[arm.key[1]][seed].value is None for seed in counted) for arm in arms),
        sign=pool.sign,
        ties={arm.label: _ties(arm.optimizer) for arm in arms},
        rules=RULES,
        first=first,
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
    every = confirm_table(pool, sample, 1).arms
    planned = planned_looks(spec_of(pool, sample), len(every))
    champions_only = confirm_table(pool, sample, planned[-1]).arms
    for number, seed in enumerate(sample.seeds[: planned[-1]]):
        for arm in every if number < planned[0] else champions_only:
            result = pool.runs[arm.key[1]][seed]
            changes = {"label": arm.label, "config": arm.config, "origin": arm.origin, "number": number}
            plan = like.model_copy(update={**changes, "phase": Phase.CONFIRM, "replicate": arm.replicate})
            trials.append(Trial(plan=plan, state=result.state, result=result))
    return trials
