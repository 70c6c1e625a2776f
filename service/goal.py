"""The goal by which a job's configs are selected, judged and compared."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.states import Direction


class Goal(BaseModel):
    """The metrics of a workload, the first of which decides, and whether less or more of it is better."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: tuple[str, ...] = Field(
        min_length=1, description="Metrics; the first one selects configs and judges runs."
    )
    direction: Direction = Field(description="Direction of the first metric.")

    @property
    def metric(self) -> str:
        return self.metrics[0]

    @property
    def curve(self) -> str:
        """The name of the curve by which trials are selected and pruned."""
        return f"validation.{self.metric}"

    @property
    def sign(self) -> float:
        """The factor that makes less of the metric better."""
        return self.direction.sign
