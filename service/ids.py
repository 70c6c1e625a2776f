"""Ids that leave the service: UUIDv7, so that they sort by time."""

import uuid_utils


def new_uid() -> str:
    return str(uuid_utils.uuid7())


PART = r"[0-9A-Fa-f-]{4,36}"
"""A beginning or an end of an id, as a regular expression: what people type for all of it."""
