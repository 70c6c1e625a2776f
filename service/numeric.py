"""Numbers of what users send: JSON's numbers alone, not `true`, and no number in quotes.

pydantic takes those for numbers, too; what was meant by them is a guess. 8.0 is a whole number.
"""

from __future__ import annotations

import math
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

Kind = Literal["int_type", "float_type"]


class NumbersAreNumbers(BaseModel):
    """A model whose numeric fields take numbers alone.

    Elements of a tuple, and the fields of a model that a discriminator chooses, need WHOLE and REAL.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool | str | bytes) and info.field_name is not None:
            annotation: Any = cls.model_fields[info.field_name].annotation
            kind = _kind(annotation)
            if kind is not None:
                raise PydanticKnownError(kind)
        return value


@cache
def _kind(annotation: Any) -> Kind | None:
    """Return pydantic's name for the error of a numeric field; None for any other field."""
    kinds: dict[frozenset[Any], Kind] = {frozenset({int}): "int_type", frozenset({float}): "float_type"}
    return kinds.get(frozenset(get_args(annotation) or (annotation,)) - {NoneType})


def _whole(value: Any) -> Any:
    if isinstance(value, bool | str | bytes):
        raise PydanticKnownError("int_type")
    return value


def _real(value: Any) -> Any:
    if isinstance(value, bool | str | bytes):
        raise PydanticKnownError("float_type")
    return value


# After the bounds, as in Annotated[int, Field(ge=1), WHOLE]: those are then the number's in the JSON schema.
WHOLE, REAL = BeforeValidator(_whole), BeforeValidator(_real)


def is_finite(value: float) -> bool:
    """Tell if a number is one that a float can hold; a whole number may be too large for that."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
