"""The place that a plug-in's entry is from: its package, and what was found of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Origin(BaseModel):
    """The place of a plug-in, as a job records it: enough to judge the job without the plug-in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(max_length=400, description="Object that was imported: `module:attribute`.")
    package: str | None = Field(
        default=None,
        max_length=200,
        description="Package that brings it; null for a name that the operator allows.",
    )
    version: str | None = Field(default=None, max_length=200, description="Version of the package.")
    source: str | None = Field(
        default=None, description="SHA-256 of its source; null until a worker has told it."
    )
    params: int | None = Field(
        default=None,
        exclude_if=lambda params: params is None,
        description="Params of the network, as counted before the first round; absent until then.",
    )
    content: str | None = Field(
        default=None,
        exclude_if=lambda content: content is None,
        description="SHA-256 of the data as loaded before the first round; absent until then.",
    )

    @property
    def words(self) -> str:
        """The place in words, to follow "from"."""
        if self.package is None:
            return self.target
        return " ".join(filter(None, (self.package, self.version)))

    def asked(self) -> Origin:
        """Return the place without what is only found when a job is prepared."""
        return self.model_copy(update={"params": None, "content": None})
