"""Jobs drawn from a pool, and what the product concludes from them: every named optimizer winner is false.

A drawn job has K names for the one optimizer, R replicates and S fresh seeds. Its replicates are R groups of
the pool, and in each the names get K of the group's studies, all drawn without replacement; its seeds are S
of the pool's, in random order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmarks.aa_pool import Key, Pool, Study, label
from service.evidence.confirmed import Confirmed
from service.evidence.finalists import Finalist
from service.evidence.verdicts import config_verdict, study_verdict
from service.spec import ResolvedSpec
from service.states import Origin, Phase
from service.trials import Trial


@dataclass(frozen=True)
class Drawn:
    """`groups` by replicate, `members` (which study of its group) by name and replicate, `seeds` in order."""

    groups: tuple[int, ...]
    members: tuple[tuple[int, ...], ...]
    seeds: tuple[int, ...]

    def study(self, pool: Pool, name: int, replicate: int) -> Study:
        return pool.groups[self.groups[replicate]][self.members[name][replicate]]

    def studies(self, pool: Pool) -> list[list[Study]]:
        """By name, then by replicate."""
        return [
            [self.study(pool, name, replicate) for replicate in range(len(self.groups))]
            for name in range(len(self.members))
        ]


def draw(pool: Pool, names: int, replicates: int, seeds: int, jobs: int, seed: int) -> Iterator[Drawn]:
    random = np.random.default_rng([seed, names, replicates, seeds])
    each = len(pool.groups[0])
    for _ in range(jobs):
        members = [random.permutation(each)[:names].tolist() for _ in range(replicates)]
        yield Drawn(
            groups=tuple(random.permutation(len(pool.groups))[:replicates].tolist()),
            members=tuple(zip(*members, strict=True)),
            seeds=tuple(random.permutation(pool.setting.fresh)[:seeds].tolist()),
        )


@dataclass(frozen=True)
class Conclusion:
    """What the product said: the winners' names by number, None in a tie; the seeds it took."""

    config: int | None
    arm: Key | None
    optimizer: int | None
    seeds: int


def conclude(pool: Pool, drawn: Drawn) -> Conclusion:
    """The product's two verdicts on the drawn job, with all of its seeds."""
    found = confirmed(pool, drawn, len(drawn.seeds))
    config = config_verdict(found)
    study = study_verdict(found, len(drawn.groups))
    names = [label(i) for i in range(len(drawn.members))]
    best = found.arms[config.best]
    named = config.verdict == "winner"
    return Conclusion(
        config=names.index(best.label) if named else None,
        arm=best.key[1] if named else None,
        optimizer=names.index(study.best) if study is not None and study.verdict == "winner" else None,
        seeds=len(drawn.seeds),
    )


def confirmed(pool: Pool, drawn: Drawn, seeds: int) -> Confirmed:
    """What `read_confirmed` reads from `as_trials`, without the detour."""
    arms: list[Finalist] = []
    for name, studies in enumerate(drawn.studies(pool)):
        chosen: dict[Key, list[int]] = {}
        for replicate, study in enumerate(studies):
            chosen.setdefault(study.key, []).append(replicate)
        chosen.setdefault(default_key(pool), [])
        for config, replicates in chosen.items():
            arms.append(_arm(pool, label(name), config, tuple(replicates), studies))
    kept = drawn.seeds[:seeds]
    keys = [arm.key[1] for arm in arms]
    return Confirmed(
        arms=tuple(arms),
        seeds=tuple(range(seeds)),
        values=tuple(tuple(pool.values[config][seed] for seed in kept) for config in keys),
        validation=tuple(None for _ in keys),
        diverged=tuple(sum(pool.runs[config][seed].value is None for seed in kept) for config in keys),
        sign=pool.sign,
    )


def default_key(pool: Pool) -> Key:
    return next(iter(pool.runs))


def _arm(pool: Pool, name: str, config: Key, replicates: tuple[int, ...], studies: list[Study]) -> Finalist:
    first = studies[replicates[0]] if replicates else None
    is_default = config == default_key(pool)
    return Finalist(
        label=name,
        optimizer=pool.setting.optimizer,
        config=dict(config),
        replicates=replicates,
        is_default=is_default,
        origin=Origin.DEFAULT if is_default or first is None else first.origin,
        searched_value=None if first is None else first.searched_value,
    )


@lru_cache(maxsize=64)
def _job(pool_name: str, spec_of: tuple[int, int, int], pool: Pool) -> ResolvedSpec:
    names, replicates, seeds = spec_of
    return pool.setting.spec(names, replicates, seed=0, confirm_seeds=seeds)


def job(pool: Pool, names: int, replicates: int, seeds: int) -> ResolvedSpec:
    """The spec of a drawn job."""
    return pool.setting.spec(names, replicates, seed=0, confirm_seeds=seeds)


def as_trials(pool: Pool, drawn: Drawn, seeds: int) -> list[Trial]:
    """The drawn job as the database would have it: search and confirm trials, under its own names."""
    found = []
    for name, studies in enumerate(drawn.studies(pool)):
        for replicate, study in enumerate(studies):
            for trial in study.trials:
                told = {"label": label(name), "replicate": replicate}
                found.append(trial.model_copy(update={"plan": trial.plan.model_copy(update=told)}))
    like = found[0].plan
    for arm in confirmed(pool, drawn, 1).arms:
        for number, seed in enumerate(drawn.seeds[:seeds]):
            result = pool.runs[arm.key[1]][seed]
            plan = like.model_copy(
                update={
                    "label": arm.label,
                    "config": arm.config,
                    "phase": Phase.CONFIRM,
                    "origin": arm.origin,
                    "replicate": arm.replicate,
                    "number": number,
                }
            )
            found.append(Trial(plan=plan, state=result.state, result=result))
    return found
