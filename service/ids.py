"""Ids that leave the service: UUIDv7, so that they sort by time."""

import uuid_utils


def new_uid() -> str:
    return str(uuid_utils.uuid7())
