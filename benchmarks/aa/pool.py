"""The pool of `benchmarks.aa`: many real studies of ONE optimizer, and their finalists on common fresh seeds.

A pool is a job of the product with one optimizer under many names:
`whichopt.service.planning.rounds.next_round` plans every search trial (the default, then random, then TPE,
pruned as in any job), the stacked executor trains it. All studies of a replicate share their search seeds and
differ in their sampler's, as the labels of a job do; a replicate is a **group** here. A job that is drawn
from the pool takes R groups, and from each one study a name. So what a name has is exactly what the product
would have given an optimizer of that name.

A job has at most 10 replicates, so a larger pool is several such jobs, each with its own seed. The config
that each study chose, and the default, are then trained on the same fresh seeds, which redraw init, order and
the division into training and validation, as confirm does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

from benchmarks.shared.processes import PROCESSES
from benchmarks.shared.trainers import AnyTrainers, stacked, trainers
from whichopt.service.goal import Goal
from whichopt.service.planning.cohorts import COHORT_TRIALS
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.rounds import next_round
from whichopt.service.seeds import derive
from whichopt.service.space import Config, Value
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Seeds, Trial, TrialPlan, TrialResult
from whichopt.workers.sampler import suggest

MOST_REPLICATES = 10

Key = tuple[tuple[str, Value], ...]
"""A config, hashable."""


@dataclass(frozen=True)
class Setting:
    """What a pool is of. `trials` are those of one study; there are `groups` x `each` studies."""

    name: str
    optimizer: str
    workload: Mapping[str, Any]
    batch_size: int
    epochs: int
    trials: int = 16
    groups: int = 20
    each: int = 6
    fresh: int = 48
    seed: int = 0

    def spec(self, names: int, replicates: int, *, seed: int, confirm_seeds: int = 10) -> ResolvedSpec:
        """A job of this optimizer under so many names."""
        return resolve(
            JobSpec.model_validate(
                {
                    "name": self.name,
                    "workload": dict(self.workload),
                    "optimizers": [{"name": self.optimizer, "label": label(i)} for i in range(names)],
                    "budget": {
                        "trials": self.trials * replicates,
                        "replicates": replicates,
                        "epochs": self.epochs,
                        "confirm_seeds": confirm_seeds,
                    },
                    "batch_size": self.batch_size,
                    "executor": "stacked",
                    "seed": seed,
                }
            )
        )

    def blocks(self) -> list[ResolvedSpec]:
        """The jobs that the pool is searched by."""
        count = math.ceil(self.groups / MOST_REPLICATES)
        ends = [self.groups * i // count for i in range(count + 1)]
        return [
            self.spec(self.each, stop - start, seed=derive(self.seed, "pool", i))
            for i, (start, stop) in enumerate(pairwise(ends))
        ]


DIGITS = {"dataset": {"name": "digits"}, "model": {"name": "mlp", "hidden": [128, 64]}}
CANCER = {"dataset": {"name": "breast_cancer"}, "model": {"name": "mlp", "hidden": [32]}}
WINE = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
DIABETES = {"dataset": {"name": "diabetes"}, "model": {"name": "mlp", "hidden": [32]}}
FRIEDMAN = {"dataset": {"name": "friedman1"}, "model": {"name": "mlp", "hidden": [32]}}
SETTINGS = (
    Setting("digits-mlp", "adam", DIGITS, batch_size=64, epochs=10),
    Setting("cancer-mlp", "adabelief", CANCER, batch_size=32, epochs=10),
    Setting("wine-linear", "sgd", WINE, batch_size=32, epochs=20),
    Setting("diabetes-mlp", "adamw", DIABETES, batch_size=32, epochs=10),
    Setting("friedman1-mlp", "nadam", FRIEDMAN, batch_size=32, epochs=10),
)
QUICK = (
    Setting("digits-mlp", "adam", DIGITS, batch_size=64, epochs=1, trials=4, groups=4, each=6, fresh=12),
    Setting("cancer-mlp", "adabelief", CANCER, 32, epochs=2, trials=4, groups=4, each=6, fresh=12),
)


def label(number: int) -> str:
    """The names under which the one optimizer is entered."""
    return f"name-{chr(ord('a') + number)}"


def key(config: Config) -> Key:
    return tuple(sorted(config.items()))


@dataclass(frozen=True)
class PoolStudy:
    """A study of the pool: its search trials as the product recorded them, and the config that it chose."""

    trials: tuple[Trial, ...]
    chosen: Config
    searched_value: float | None

    @cached_property
    def key(self) -> Key:
        return key(self.chosen)

    @property
    def origin(self) -> Origin:
        return next(trial.plan.origin for trial in self.trials if trial.plan.config == self.chosen)


@dataclass(frozen=True)
class Pool:
    """`groups` are the studies that share their search seeds; `runs` has, for each config that some study
    chose and for the default, what it gave on each fresh seed."""

    setting: Setting
    default: Config
    groups: tuple[tuple[PoolStudy, ...], ...]
    runs: Mapping[Key, tuple[TrialResult, ...]]

    @cached_property
    def default_key(self) -> Key:
        return key(self.default)

    @cached_property
    def goal(self) -> Goal:
        return self.setting.spec(1, 1, seed=0).goal

    @cached_property
    def sign(self) -> float:
        """1 where lower is better, else -1."""
        return self.goal.sign

    @property
    def studies(self) -> list[PoolStudy]:
        return [study for group in self.groups for study in group]

    @cached_property
    def values(self) -> dict[Key, tuple[float, ...]]:
        """The metric on the test split on each fresh seed; a constant predictor's where the run diverged."""
        return {
            config: tuple(_value(run, self.goal.metric) for run in runs) for config, runs in self.runs.items()
        }

    @cached_property
    def losses(self) -> dict[Key, tuple[float, ...]]:
        """`values` with their sign set so that lower is better."""
        return {config: tuple(self.sign * value for value in row) for config, row in self.values.items()}


def _value(result: TrialResult, metric: str) -> float:
    if result.value is not None:
        return result.value
    assert result.reference is not None
    return result.reference[metric]


class Record:
    """Trained plans with their results, one a line in a file: what was trained is never trained again.

    A result is a pure function of its plan, so a file serves whoever asks for the same plan.
    """

    def __init__(self, file: Path, crew: AnyTrainers, progress: TextIO) -> None:
        self.known: dict[str, TrialResult] = {}
        self.file = file
        self.crew = crew
        self.progress = progress
        for line in file.read_text().splitlines() if file.exists() else ():
            try:
                name, result = json.loads(line)
            except ValueError:
                continue  # the end of a run that was killed
            self.known[name] = TrialResult.model_validate(result)

    def train(self, spec: ResolvedSpec, plans: Sequence[TrialPlan]) -> list[Trial]:
        """The trials of the plans, in order; those that nobody has trained yet are trained."""
        names = [_name(spec, plan) for plan in plans]
        asked = {name: plan for name, plan in zip(names, plans, strict=True) if name not in self.known}
        left = list(asked)
        count = math.ceil(len(left) / (PROCESSES * COHORT_TRIALS["stacked"])) * PROCESSES
        cohorts = [part for i in range(count) if (part := left[i::count])]
        done = 0

        def keep(number: int, results: list[TrialResult]) -> None:
            nonlocal done
            slimmed = [_slim(spec, result) for result in results]
            self.known |= dict(zip(cohorts[number], slimmed, strict=True))
            lines = [
                json.dumps([name, result.model_dump(mode="json")]) + "\n"
                for name, result in zip(cohorts[number], slimmed, strict=True)
            ]
            with self.file.open("a") as file:
                file.write("".join(lines))
            done += len(slimmed)
            print(f"  {done}/{len(left)} trials", end="\r", file=self.progress, flush=True)

        self.crew.map([[asked[name] for name in cohort] for cohort in cohorts], keep)
        results = [self.known[name] for name in names]
        return [Trial(plan=p, state=r.state, result=r) for p, r in zip(plans, results, strict=True)]


def _name(spec: ResolvedSpec, plan: TrialPlan) -> str:
    """What makes a run the same run: the workload and the plan, whatever it is called in its job."""
    training = plan.model_dump(mode="json", exclude={"label", "origin", "replicate", "number"})
    text = json.dumps([spec.workload.model_dump(mode="json"), training], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _slim(spec: ResolvedSpec, result: TrialResult) -> TrialResult:
    """Without the curves that nobody reads here."""
    wanted = spec.goal.curve
    curves = {name: points for name, points in result.curves.items() if name == wanted}
    return result.model_copy(update={"curves": curves})


def build(setting: Setting, file: Path, progress: TextIO) -> Pool:
    """The pool of `setting`: what is missing in `file` is trained, and kept there as it comes."""
    blocks = setting.blocks()
    with trainers(PROCESSES, stacked, blocks[0].model_dump_json()) as crew:
        record = Record(file, crew, progress)
        groups: list[tuple[PoolStudy, ...]] = []
        for number, spec in enumerate(blocks):
            trials: list[Trial] = []
            while (plans := _searching(spec, trials)) is not None:
                place = f"{number + 1} of {len(blocks)}, {len(trials)} trials are in"
                print(f"{setting.name}: search {place}", file=progress, flush=True)
                trials += record.train(spec, plans)
            groups += _groups(spec, trials)
        default = blocks[0].optimizers[0].default
        configs = {key(default): default}
        configs |= {study.key: study.chosen for group in groups for study in group}
        print(f"{setting.name}: {len(configs)} configs on {setting.fresh} fresh seeds", file=progress)
        seeds = range(setting.fresh)
        fresh = record.train(blocks[0], [p for n in seeds for p in _fresh(setting, blocks[0], configs, n)])
    runs: dict[Key, list[TrialResult]] = {config: [] for config in configs}
    for trial in fresh:
        assert trial.result is not None
        runs[key(trial.plan.config)].append(trial.result)
    return Pool(setting, default, tuple(groups), {config: tuple(results) for config, results in runs.items()})


def _searching(spec: ResolvedSpec, trials: Sequence[Trial]) -> list[TrialPlan] | None:
    """The plans of the next round, None where the search has ended."""
    following = next_round(spec, trials, suggest, workers=PROCESSES)
    if following is None or following.cohorts[0][0].phase is not Phase.SEARCH:
        return None
    return [plan for cohort in following.cohorts for plan in cohort]


def _groups(spec: ResolvedSpec, trials: Sequence[Trial]) -> Iterator[tuple[PoolStudy, ...]]:
    """The studies of each replicate; a study chooses as the product's finalists are chosen."""
    arms = finalists(spec, trials)
    of: dict[tuple[str, int | None], list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.plan.number):
        of.setdefault((trial.plan.label, trial.plan.replicate), []).append(trial)
    for replicate in range(spec.budget.replicates):
        group = []
        for name in spec.labels:
            arm = next(arm for arm in arms if arm.label == name and replicate in arm.replicates)
            study_trials = of[name, replicate]
            values = [
                t.result.value for t in study_trials if t.result is not None and t.plan.config == arm.config
            ]
            searched_value = next((value for value in values if value is not None), None)
            group.append(PoolStudy(tuple(study_trials), arm.config, searched_value))
        yield tuple(group)


def _fresh(
    setting: Setting, spec: ResolvedSpec, configs: Mapping[Key, Config], number: int
) -> Iterator[TrialPlan]:
    """Every config on that fresh seed; the length and the evaluations are those of the search."""
    following = next_round(spec, [], suggest)
    assert following is not None
    like = following.cohorts[0][0]
    seeds = Seeds(
        init=derive(setting.seed, "fresh", number, "init"),
        order=derive(setting.seed, "fresh", number, "order"),
        split=derive(setting.seed, "fresh", number, "split"),
    )
    for config in configs.values():
        yield like.model_copy(
            update={
                "config": config,
                "seeds": seeds,
                "rungs": (),
                "phase": Phase.CONFIRM,
                "origin": Origin.USER,
                "replicate": None,
                "number": number,
            }
        )


def save(pools: Sequence[Pool], file: Path) -> None:
    document = [
        {
            "setting": asdict(pool.setting),
            "default": pool.default,
            "groups": [
                [
                    {
                        "chosen": study.chosen,
                        "searched_value": study.searched_value,
                        "trials": [trial.model_dump(mode="json") for trial in study.trials],
                    }
                    for study in group
                ]
                for group in pool.groups
            ],
            "runs": [[dict(config), [_dump(run) for run in runs]] for config, runs in pool.runs.items()],
        }
        for pool in pools
    ]
    part = file.with_name(file.name + ".new")
    part.write_text(json.dumps(document) + "\n")
    part.replace(file)


def _dump(result: TrialResult) -> dict[str, Any]:
    document: dict[str, Any] = result.model_copy(update={"curves": {}}).model_dump(mode="json")
    return document


def load(file: Path) -> list[Pool]:
    """What `save` wrote.

    Raises:
        ValueError: the file holds no pools.
    """
    document = json.loads(file.read_text())
    return [
        Pool(
            setting=Setting(**entry["setting"]),
            default=entry["default"],
            groups=tuple(
                tuple(
                    PoolStudy(
                        trials=tuple(Trial.model_validate(trial) for trial in study["trials"]),
                        chosen=study["chosen"],
                        searched_value=study["searched_value"],
                    )
                    for study in group
                )
                for group in entry["groups"]
            ),
            runs={
                key(config): tuple(TrialResult.model_validate(run) for run in runs)
                for config, runs in entry["runs"]
            },
        )
        for entry in document
    ]


def described(pool: Pool) -> dict[str, Any]:
    """What the pool is of, for the JSON file."""
    defaults = sum(study.key == key(pool.default) for study in pool.studies)
    return {
        **asdict(pool.setting),
        "studies": len(pool.studies),
        "configs": len(pool.runs),
        "studies_that_chose_the_default": defaults,
        "diverged_fresh_runs": sum(run.value is None for runs in pool.runs.values() for run in runs),
    }
