"""Values that may be missing, where a test knows that they are there."""

from __future__ import annotations

from typing import TypeVar

ValueT = TypeVar("ValueT")


def present(value: ValueT | None) -> ValueT:
    """`value`, which is there.

    Raises:
        AssertionError: it is not.
    """
    assert value is not None
    return value
