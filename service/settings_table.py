"""`python -m whichopt.service.settings_table`: a table of every variable of the service, in Markdown."""

from __future__ import annotations

import sys

from whichopt.service.secret_files import SECRETS
from whichopt.service.setting_words import OTHERS, variable
from whichopt.service.settings import Settings


def table() -> str:
    """Return a row for each variable: name, default and meaning; those of the commands come last."""
    rows = ["| variable | default | |", "|---|---|---|"]
    for field, info in Settings.model_fields.items():
        name = variable(field, info)
        names = f"`{name}`, `{name}_FILE`" if field in SECRETS else f"`{name}`"
        default = "" if info.default in (None, "") else f"`{info.default}`"
        rows.append(f"| {names} | {default} | {info.description} |")
    rows += [f"| `{name}` | | {what} |" for name, what in OTHERS.items()]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
