"""Checks API keys: a key has to fit into a header, and must be hard to guess."""

from __future__ import annotations

import re
import string

SHORTEST = 16
FEWEST_SIGNS = 6
SIGNS = set(string.ascii_letters + string.digits + string.punctuation)
HOW_TO_MAKE = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
EXPECTED = re.compile(
    r"(?:change|changed|me|this|please|my|your|the|api|key|secret|password|passwd|token|here|default|example|"
    r"sample|dummy|test|admin|root|user|whichopt|insecure|replace|insert|put|with|qwerty|asdf|letmein|xxx|"
    r"0123456789|1234567890|123456789|12345678|123456|12345|1234|123|abc|abcdef)+\d{0,4}"
)
"""Placeholders that people write in place of a key, and that others try first."""


class WeakKey(ValueError):
    """Says in one line why this may be no key, what may, and how to make one; never says the key."""


def check(key: str) -> None:
    """Refuses what may be no new key.

    Raises:
        WeakKey: a header cannot carry it, or it could be guessed.
    """
    plain = re.sub(r"[^a-z0-9]", "", key.lower())
    if not set(key) <= SIGNS:
        problem = "has spaces or characters that are not ASCII, which a header does not carry"
    elif len(key) < SHORTEST:
        problem = f"has {len(key)} characters"
    elif len(set(key)) < FEWEST_SIGNS:
        problem = f"has only {len(set(key))} different characters"
    elif EXPECTED.fullmatch(plain) is not None:
        problem = "is one of the first that are tried"
    else:
        return
    raise WeakKey(
        f"the API key {problem}; allowed: {SHORTEST} or more letters, digits and signs of ASCII, "
        f"{FEWEST_SIGNS} of them different; {HOW_TO_MAKE}"
    )
