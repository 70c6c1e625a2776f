"""What is known of a text without the text: how long it is, and which characters it has."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

LANGUAGE: Literal["language"] = "language"
"""The task that learns the next token of a text."""

MOST_CHARACTERS = 1024
"""Most characters that are a token of their own."""

VOCABULARY_SHARE = 0.8
"""Share of a text, from its beginning, that says which characters are tokens: what lies behind it tests."""

BEGINNING = 400
"""Characters that are shown of a text, so that people see whether it was read as they meant it."""


class Text(BaseModel):
    """A text that a person sent, in short."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    characters: int = Field(ge=1, description="Number of characters.")
    bytes: int = Field(ge=1, description="Number of bytes in UTF-8.")
    lines: int = Field(ge=1, description="Number of lines.")
    vocabulary: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)] = Field(
        description="Characters that are a token of their own, in the order of their codes."
    )
    rare: int = Field(
        ge=0, description="Number of characters of the text that are none of these: they share one token."
    )
    beginning: str = Field(
        default="",
        max_length=BEGINNING,
        exclude_if=lambda beginning: not beginning,
        description="The first characters; absent in a job, as more people may see that.",
    )

    def without_beginning(self) -> Self:
        """Return what a job records: nothing of the text itself but which characters it has."""
        return self.model_copy(update={"beginning": ""})

    @property
    def tokens(self) -> int:
        """The number of tokens that there are, if they are characters."""
        return len(self.vocabulary) + (self.rare > 0)
