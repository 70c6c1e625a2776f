"""The name of a job as pages show it: what a person wrote, unless nobody could see or read it."""

from __future__ import annotations

import re
import unicodedata

TURNS = re.compile(r"[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
"""Characters that turn the direction of what follows them: they would turn the words beside the name too."""

BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters that are drawn as nothing."""


def shown_name(name: str | None) -> str:
    """Return the name to show; nothing if there is none, or only what cannot be seen.

    Example:
        >>> from whichopt.service.job_names import shown_name
        >>> shown_name("digits \\u202e3"), shown_name(" \\u200b")
        ('digits 3', '')
    """
    shown = TURNS.sub("", name or "").strip()
    return shown if any(_is_seen(character) for character in shown) else ""


def _is_seen(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind[0] != "Z" and kind not in ("Cc", "Cf", "Cs") and character not in BLANK
