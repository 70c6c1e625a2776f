"""What a job trains: entries of the catalog, or a person's own function, as asked for and as resolved.

Both kinds of a resolved workload offer the same few properties, so that no reader asks which it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from whichopt.service.catalog.networks import LayersOptions
from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.shapes import Shape, Sizes
from whichopt.service.goal import Goal
from whichopt.service.guests import Function, Rehearsed
from whichopt.service.numeric import NumbersAreNumbers
from whichopt.service.spec.augment import Augmentations
from whichopt.service.states import Direction
from whichopt.service.uploads import Upload

FACTS = (
    *("shape", "sizes", "length_unit", "content", "upload", "source", "rehearsed"),
    *("dataset_origin", "model_origin"),
)
"""Fields of a resolved workload that follow from its names, or that were found out about them."""

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""Pattern without control characters: PostgreSQL stores no NUL, and names go into headers and file names."""


class Strict(NumbersAreNumbers):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Named(BaseModel):
    """A catalog entry by its name, with the entry's own options beside it."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str = Field(max_length=64)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def by_name(value: Any) -> Any:
    """Turn a name alone into the entry with its defaults."""
    return {"name": value} if isinstance(value, str) else value


def without(names: Sequence[str], data: Any) -> Any:
    """Return the fields as they were sent, but for those of that name."""
    return (
        {name: value for name, value in data.items() if name not in names} if isinstance(data, dict) else data
    )


ByName = Annotated[Named, BeforeValidator(by_name)]


class LayersModel(LayersOptions):
    """A model that is described by its layers."""

    name: Literal["layers"]


class _OrLayers:
    """Shows in a JSON schema that a model may also be described by its layers."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(LayersModel.__pydantic_core_schema__), handler(schema)]}


# -- as asked for ----------------------------------------------------------------------------------------


class WorkloadSpec(Strict):
    """The task, model and dataset of a job. The task may be omitted; it is the dataset's."""

    task: ByName | None = Field(
        default=None, description="Task by its name, or with its options beside the name."
    )
    dataset: ByName
    model: Annotated[ByName, _OrLayers]
    metric: str | None = Field(
        default=None,
        max_length=64,
        description="Metric of the task that configs are selected, judged and compared by; the others stand "
        "beside it. Null is the task's first, such as `nll` or `rmse`.",
    )
    augment: Augmentations = ()

    @model_validator(mode="before")
    @classmethod
    def _as_asked(cls, data: Any) -> Any:
        """Turn a resolved workload into the request for it: its facts follow anew from what was asked."""
        if not isinstance(data, dict):
            return data
        asked = dict(without(FACTS, data))
        goal = asked.pop("goal", None)
        if isinstance(goal, dict) and goal.get("metrics"):
            asked.setdefault("metric", goal["metrics"][0])
        if asked.get("class_weight", "") is None:
            del asked["class_weight"]
        elif "class_weight" in asked and isinstance(asked.get("task"), str):
            asked["task"] = {"name": asked["task"], "class_weight": asked.pop("class_weight")}
        return asked


METRIC = r"^[A-Za-z_][A-Za-z0-9_./@-]*$"
"""Pattern of a metric that a function reports: it becomes a key, a heading and a word in sentences."""

MetricName = Annotated[str, Field(max_length=64, pattern=METRIC)]


class FunctionWorkload(Strict):
    """A person's own training function, and the metric that it reports: the less, or the more, the better."""

    function: Annotated[Function, BeforeValidator(by_name)] = Field(
        description="Function by its name (`module:function`), or with options for it beside the name."
    )
    minimize: MetricName | None = Field(
        default=None, description="Metric that the function reports, less of which is better."
    )
    maximize: MetricName | None = Field(
        default=None, description="Metric that the function reports, more of which is better."
    )
    baseline: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Score of a model that has learned nothing, which stands in for a run that diverged in "
        "confirm. Null: the worst score of the job's other confirm runs does.",
    )
    version: str | None = Field(
        default=None,
        max_length=200,
        pattern=PRINTABLE,
        description="Version of what the function reads, such as its data: another one makes another job.",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_asked(cls, data: Any) -> Any:
        """Turn a resolved workload into the request for it: what was found out is found out anew."""
        if not isinstance(data, dict):
            return data
        asked = dict(without(FACTS, data))
        goal = asked.pop("goal", None)
        if isinstance(goal, dict) and goal.get("metrics"):
            asked.setdefault(str(goal.get("direction", "")), goal["metrics"][0])
        return asked

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if (self.minimize is None) == (self.maximize is None):
            raise ValueError(
                "a function's workload names its metric by `minimize` or by `maximize`, one of the two, such "
                'as {"function": "ourlab.train:fit", "minimize": "val_loss"}'
            )
        return self

    @property
    def goal(self) -> Goal:
        if self.minimize is not None:
            return Goal(metrics=(self.minimize,), direction=Direction.MINIMIZE)
        assert self.maximize is not None
        return Goal(metrics=(self.maximize,), direction=Direction.MAXIMIZE)


def kind_of_workload(data: Any) -> str:
    """Return the tag of the kind of workload that this is, as sent or as resolved: its key decides."""
    is_function = "function" in data if isinstance(data, dict) else hasattr(data, "function")
    return OF_A_FUNCTION if is_function else OF_THE_CATALOG


# No key of a workload has these names, so that a reader of pydantic's paths can tell them from keys.
OF_A_FUNCTION, OF_THE_CATALOG = "of a function", "of the catalog"

AskedWorkload = Annotated[
    Annotated[FunctionWorkload, Tag(OF_A_FUNCTION)] | Annotated[WorkloadSpec, Tag(OF_THE_CATALOG)],
    Discriminator(kind_of_workload),
]


# -- as resolved -----------------------------------------------------------------------------------------


class ResolvedWorkload(Strict):
    """The workload of a job, with all facts that planning, evidence and readers need.

    Nothing in it has to be looked up by name, so a report can be judged even if its dataset is unknown.
    """

    task: str
    dataset: Named
    model: Named
    goal: Goal
    class_weight: Literal["balanced"] | None = Field(
        default=None,
        description="Weights of the classes in the training loss: `balanced` gives each class of the "
        "training rows the same total weight. Null: every example counts the same.",
    )
    augment: Augmentations = ()
    shape: Shape
    sizes: Sizes
    length_unit: Literal["examples"] = Field(default="examples", description="Unit of a trial's length.")
    content: str | None = Field(default=None, description="SHA-256 of the data; null for a built-in dataset.")
    upload: Upload | None = Field(
        default=None,
        description="File, columns and split of a person's own data; null for a built-in dataset.",
    )
    dataset_origin: Origin | None = Field(
        default=None,
        exclude_if=lambda origin: origin is None,  # what was stored before plug-ins keeps its bytes
        description="Plug-in that the dataset is from; absent if it is from none.",
    )
    model_origin: Origin | None = Field(
        default=None,
        exclude_if=lambda origin: origin is None,
        description="Plug-in that the model is from; absent if it is from none.",
    )

    @property
    def label_noise(self) -> float:
        """The share of the training labels that are replaced by another class."""
        return float(self.dataset.options.get("label_noise", 0.0))

    @property
    def title(self) -> str:
        """The name of the workload in headings and tables."""
        return f"{self.dataset.name}/{self.model.name}"

    @property
    def short_title(self) -> str:
        """The name of a job about it that has no name of its own."""
        return self.dataset.name

    @property
    def sentence(self) -> str:
        """What is trained, in words."""
        return f"{self.model.name} on {self.dataset.name} ({self.task})"

    @property
    def dataset_name(self) -> str | None:
        return self.dataset.name

    @property
    def model_name(self) -> str | None:
        return self.model.name

    @property
    def function_name(self) -> str | None:
        return None

    @property
    def names(self) -> dict[str, str]:
        """What it is made of, by what each name is of."""
        return {"task": self.task, "dataset": self.dataset.name, "model": self.model.name}

    @property
    def baseline(self) -> float | None:
        return None

    @property
    def rehearsed(self) -> Rehearsed | None:
        return None

    @property
    def judged_split(self) -> Literal["test", "validation"]:
        """The split on which confirm runs are judged."""
        return "test"

    @property
    def fixed_executor(self) -> Literal["guest"] | None:
        """The executor of all its trials, if there is no choice."""
        return None


class ResolvedFunction(Strict):
    """A person's training function as the workload of a job, with what was found out about it.

    The length of a trial is counted in epochs: what lies between two reports.
    """

    function: Function
    goal: Goal
    baseline: float | None = None
    version: str | None = None
    length_unit: Literal["epochs"] = Field(default="epochs", description="Unit of a trial's length.")
    source: str | None = Field(
        default=None,
        description="SHA-256 of the function's source and of what it names; null until it is known.",
    )
    rehearsed: Rehearsed | None = Field(
        default=None, description="What its rehearsal told, before the first round; null until then."
    )

    @property
    def title(self) -> str:
        """The name of the workload in headings and tables."""
        return self.function.name

    @property
    def short_title(self) -> str:
        """The name of a job about it that has no name of its own."""
        return self.function.name

    @property
    def sentence(self) -> str:
        """What is trained, in words."""
        return f"the function {self.function.name}"

    @property
    def sizes(self) -> Sizes:
        """One epoch counts as one, so that a trial's length is its number of epochs."""
        return Sizes(1, 1, 1)

    @property
    def task(self) -> str | None:
        return None

    @property
    def dataset_name(self) -> str | None:
        return None

    @property
    def model_name(self) -> str | None:
        return None

    @property
    def function_name(self) -> str | None:
        return self.function.name

    @property
    def names(self) -> dict[str, str]:
        """What it is made of, by what each name is of."""
        return {"function": self.function.name}

    @property
    def content(self) -> str | None:
        return None

    @property
    def upload(self) -> Upload | None:
        return None

    @property
    def judged_split(self) -> Literal["test", "validation"]:
        """The split on which confirm runs are judged: validation if nobody holds a test part back."""
        known = self.rehearsed
        return "validation" if known is not None and known.judged_on == "validation" else "test"

    @property
    def fixed_executor(self) -> Literal["guest"] | None:
        """The executor of all its trials, if there is no choice."""
        return "guest"

    def with_rehearsal(self, rehearsed: Rehearsed) -> Self:
        """Return the workload with what its rehearsal told.

        Raises:
            ValueError: the rehearsal is one of another metric.
        """
        if rehearsed.metrics[:1] != (self.goal.metric,):
            raise ValueError(f"the rehearsal's first metric is not {self.goal.metric!r}")
        goal = self.goal.model_copy(update={"metrics": rehearsed.metrics})
        return self.model_copy(update={"goal": goal, "source": rehearsed.source, "rehearsed": rehearsed})


AnyWorkload = Annotated[
    Annotated[ResolvedFunction, Tag(OF_A_FUNCTION)] | Annotated[ResolvedWorkload, Tag(OF_THE_CATALOG)],
    Discriminator(kind_of_workload),
]
