"""The error for data that are not where a job needs them."""

from __future__ import annotations


class DatasetGone(Exception):
    """The data of a job are not where it needs them, or are not what they were; the text says what to do."""
