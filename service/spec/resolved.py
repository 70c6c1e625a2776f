"""A job spec with every default written out (ResolvedSpec): what is planned, recorded and judged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from whichopt.service.catalog.names import check_names
from whichopt.service.catalog.optimizer_entry import OptimizerFacts
from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.configs import arguments, room
from whichopt.service.errors import WhichoptError
from whichopt.service.goal import Goal
from whichopt.service.space import Categorical, Config, Float, Int, Space
from whichopt.service.spec.budget import TimedPlan
from whichopt.service.spec.request import Common, ExecutorName, SpaceEntry
from whichopt.service.spec.today import TODAY
from whichopt.service.spec.upgrade import upgraded
from whichopt.service.spec.workloads import AnyWorkload, ResolvedFunction, ResolvedWorkload, Strict
from whichopt.service.trials import Training


class ResolvedOptimizer(Strict):
    """An optimizer with its complete `space`; `default` is the complete setting of the first trial.

    Nothing about it has to be looked up by name, so a report can be judged even if the catalog lacks it.
    """

    name: str
    label: str
    space: dict[str, SpaceEntry]
    default: Config
    facts: OptimizerFacts
    place: int = Field(ge=0, description="Place in the catalog, from 0; the first is taken in the last ties.")
    origin: Origin | None = Field(
        default=None,
        exclude_if=lambda origin: origin is None,  # what was stored before plug-ins keeps its bytes
        description="Plug-in that the optimizer is from; absent if it is from none.",
    )

    @model_validator(mode="after")
    def _can_be_arguments(self) -> Self:
        check_names("default", self.default)
        check_names("space", self.space)
        return self

    @property
    def searched(self) -> Space:
        """The hyperparameters that are searched; the others are fixed to their value in `default`."""
        return {n: entry for n, entry in self.space.items() if isinstance(entry, Float | Int | Categorical)}

    @cached_property
    def configs(self) -> int:
        """The number of configs that a study can train; pages ask for it over and over."""
        return room(self.searched, self.default)


class ResolvedToday(Strict):
    """Today's config with every hyperparameter written out, and the facts about its optimizer."""

    name: str
    config: Config
    facts: OptimizerFacts
    origin: Origin | None = Field(
        default=None,
        exclude_if=lambda origin: origin is None,  # what was stored before plug-ins keeps its bytes
        description="Plug-in that the optimizer is from; absent if it is from none.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_names("today.config", self.config)
        own = {name for name in self.config if name in self.facts.space or self.facts.is_own(name)}
        if own != self.facts.space.keys():
            differ = sorted(own ^ self.facts.space.keys())
            raise ValueError(f"today.config differs from its optimizer's facts in {', '.join(differ)}")
        return self

    @property
    def optimizer(self) -> ResolvedOptimizer:
        """The same as an optimizer of which nothing is searched."""
        return ResolvedOptimizer(
            name=self.name,
            label=TODAY,
            space=dict(self.config),
            default=self.config,
            facts=self.facts,
            place=0,
            origin=self.origin,
        )


class ResolvedSpec(Common):
    """A job spec with every default written out; itself a valid JobSpec that resolves to itself."""

    workload: AnyWorkload
    optimizers: tuple[ResolvedOptimizer, ...]
    today: ResolvedToday | None = Field(
        default=None,
        exclude_if=lambda today: today is None,  # specs without one keep their bytes
        description="Today's config with every hyperparameter written out; absent if the job has none.",
    )
    only_solo: dict[str, str] | None = Field(
        default=None,
        description="Reason for each label that could only be trained solo; null until the first round is "
        "planned, and if there is none.",
    )
    rules: int = Field(
        default=1, ge=1, description="Version of the rules that the job is planned and judged by."
    )

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        try:
            return upgraded(data)
        except WhichoptError as error:
            raise ValueError(str(error)) from None
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(
                f"workload and optimizers are not as any version has written them ({error!r})"
            ) from None

    @model_validator(mode="after")
    def _today_by_rules_2(self) -> Self:
        if self.today is not None and self.rules < 2:
            raise ValueError("a job by rules 1 has no config of today")
        if self.today is not None and TODAY in self.labels:
            raise ValueError(f"the label {TODAY!r} is that of today's config, and an optimizer has it")
        return self

    @property
    def training(self) -> Training:
        return Training(
            batch_size=self.batch_size,
            schedule=self.schedule,
            clip_norm=self.clip_norm,
            compiled=self.kernels == "compiled",
        )

    def training_of(self, label: str, config: Config) -> Training:
        """Return how a trial of that label and config is trained."""
        return self.training.of(self.optimizer(label).facts.of_training(config))

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(optimizer.label for optimizer in self.optimizers)

    @property
    def trained_labels(self) -> tuple[str, ...]:
        """The labels of all trials: those of the optimizers and, if there is one, of today's config."""
        return self.labels if self.today is None else (*self.labels, TODAY)

    @property
    def goal(self) -> Goal:
        return self.workload.goal

    @property
    def cataloged(self) -> ResolvedWorkload:
        """The workload, if entries of the catalog are trained.

        Raises:
            ValueError: the job is about a person's own function.
        """
        if not isinstance(self.workload, ResolvedWorkload):
            raise ValueError(f"the workload is {self.workload.sentence}, of which the catalog knows nothing")
        return self.workload

    @property
    def guest(self) -> ResolvedFunction | None:
        """The workload, if it is a person's own function; None if entries of the catalog are trained."""
        return self.workload if isinstance(self.workload, ResolvedFunction) else None

    @property
    def sizes(self) -> Sizes:
        """The number of examples in each split of the job's dataset."""
        return self.workload.sizes

    @property
    def unit(self) -> str:
        """The unit of a trial's length, in the plural."""
        return self.workload.length_unit

    @property
    def length(self) -> int:
        """The number of examples that a trial sees that is not stopped early."""
        return self.sizes.train * self.budget.epochs

    def steps_of(self, label: str, config: Config | None = None) -> int:
        """Return the steps of a trial of that label and config, if it is not stopped early.

        If its batch grows, it takes fewer. Without a config they are those of the label's default.
        """
        known = self.optimizer(label).default if config is None else config
        return self.training_of(label, known).most_steps(self.length)

    def optimizer(self, label: str) -> ResolvedOptimizer:
        """Return the optimizer of that label; today's config is one of which nothing is searched."""
        if self.today is not None and label == TODAY:
            return self.today.optimizer
        return next(optimizer for optimizer in self.optimizers if optimizer.label == label)

    def shown(self, label: str, config: Config) -> dict[str, Any]:
        """Return the config of that label in torch's own form, as JSON has it: `betas` is a list."""
        shown = arguments(config, self.optimizer(label).facts.packed)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in shown.items()}

    def executor_of(self, label: str) -> ExecutorName:
        """Return the executor of the label's trials.

        Raises:
            ValueError: the executors are not chosen yet, which is done before the first round.
        """
        if self.executors is None:
            raise ValueError("the executors of a job are only chosen before its first round")
        return self.executors[label]

    @property
    def trained_by(self) -> Literal["solo", "stacked", "guest", "mixed"] | None:
        """The executor of all labels, or `mixed` if they have two; None while it is not chosen."""
        if self.executors is None:
            return None
        used = set(self.executors.values())
        return used.pop() if len(used) == 1 else "mixed"

    @property
    def solo_lines(self) -> list[str]:
        """A line for each reason why labels could only be trained solo."""
        by_reason: dict[str, list[str]] = {}
        for label, reason in (self.only_solo or {}).items():
            by_reason.setdefault(reason, []).append(label)
        return [f"Trained solo: {', '.join(labels)}, as {reason}" for reason, labels in by_reason.items()]

    def with_executor(self, executor: ExecutorName) -> ResolvedSpec:
        """Return the spec with the same executor for all labels."""
        return self.model_copy(update={"executors": dict.fromkeys(self.trained_labels, executor)})

    def study_trials_of(self, label: str) -> int:
        """Return the search trials of a study of that label; its space may have fewer than its budget."""
        asked = (self.budget.trials_of(label) or 0) // self.budget.replicates
        return min(asked, self.optimizer(label).configs)

    def trials_of(self, label: str) -> int:
        """Return the search trials of that label; 0 for minutes without a plan yet."""
        return self.budget.replicates * self.study_trials_of(label)

    @property
    def asked_trials(self) -> int:
        """The number of search trials of all labels; 0 for minutes without a plan yet."""
        return sum(map(self.trials_of, self.labels))

    def with_timed_plan(self, plan: TimedPlan, *, confirm_seeds: int) -> ResolvedSpec:
        """Return the spec with the plan for its minutes and the most fresh seeds that fit the time."""
        budget = self.budget.model_copy(update={"settled": plan, "confirm_seeds": confirm_seeds})
        return self.model_copy(update={"budget": budget})
