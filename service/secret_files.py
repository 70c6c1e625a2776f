"""Secrets from files, as Docker and Kubernetes mount them: WHICHOPT_API_KEY_FILE names one, and so on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SECRETS = frozenset({"database_url", "database_password", "broker_url", "api_key"})
"""Fields of the settings whose values may be in a file, and are never shown."""


LONGEST = 65_536
"""Bytes of a file of a secret. Others, as devices, may have no end."""


class UnreadableSecret(ValueError):
    """Says in one line what is wrong with a variable that names a file."""


def secret(variable: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return what the file that `variable` + _FILE names holds, without the end of its line; None if unnamed.

    Raises:
        UnreadableSecret: the variable itself is given as well, or the file cannot be read or is empty.
    """
    named = f"{variable}_FILE"
    path = environ.get(named, "").strip()
    if not path:
        return None
    if environ.get(variable):
        raise UnreadableSecret(f"{variable} and {named} are both given; give one of them")
    try:
        with Path(path).open("rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise UnreadableSecret(
                f"{named} is {path!r}, which has more than {LONGEST:,} bytes; it should hold the secret alone"
            )
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        raise UnreadableSecret(f"{named} is {path!r}, which cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnreadableSecret(f"{named} is {path!r}, which holds no text in UTF-8") from None
    if not text.strip():
        raise UnreadableSecret(f"{named} is {path!r}, which is empty; it should hold the secret alone")
    if "\n" in text or "\r" in text:
        raise UnreadableSecret(
            f"{named} is {path!r}, which has several lines; it should hold the secret alone"
        )
    return text
