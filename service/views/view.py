"""The base of all views, and a part of a list of them."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")


class View(BaseModel):
    """An answer, which nobody changes once it is made."""

    model_config = ConfigDict(frozen=True)


class Unreadable(View):
    """A stored row that this version cannot read: it is damaged, or a newer version wrote it."""

    id: str
    name: str | None
    problem: str


class Page(View, Generic[Item]):
    """A part of a list. `cursor` asks for the next part, and is null at the end."""

    items: list[Item]
    unreadable: list[Unreadable] = Field(
        default=[], description="Rows of this part that cannot be read, each with its problem."
    )
    cursor: str | None = None
