"""Describes models in JSON schemas by their docstrings, without the examples in Python."""

from __future__ import annotations

from typing import Any


def without_example(schema: dict[str, Any]) -> None:
    """Leave out of a schema's description what its docstring says to those who write Python."""
    schema["description"] = schema["description"].partition("\n\nRaises:")[0].partition("\n\nExample:")[0]
