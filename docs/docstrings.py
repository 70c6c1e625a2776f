"""Shows formulas and examples of docstrings in the reference: an extension of griffe, for mkdocs.yml."""

from __future__ import annotations

from typing import Any

from griffe import Extension, Object

from docs.docstrings_text import markdown


class Formulas(Extension):
    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
