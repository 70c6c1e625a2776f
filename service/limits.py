"""The limits of the size of a job's model, which the service's settings may change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The most params of a model, and the most bytes that a batch may keep while it is trained."""

    params: int = 50_000_000
    activation_bytes: int = 4 * 2**30


UNLIMITED = Limits(params=2**63, activation_bytes=2**63)
"""Limits for what is recorded: another service had its own."""
