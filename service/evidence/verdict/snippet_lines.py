"""The lines of a snippet that matter: the imports and the call that makes the optimizer.

They are found in the text, so that the snippets of earlier versions have them too.
"""

from __future__ import annotations

import re

MADE = re.compile(r"(\w+_)?optimizer = ")
"""The start of the call: with two players, that of the first, as both have the same arguments."""


def lines_that_matter(snippet: str) -> str | None:
    """Return the call that makes the optimizer, with the import that it needs; None if there is no such call.

    Example:
        >>> from whichopt.service.evidence.verdict.snippet_lines import lines_that_matter
        >>> snippet = "import math\\nimport torch\\n\\noptimizer = torch.optim.SGD(\\n    lr=1,\\n)\\n"
        >>> print(lines_that_matter(snippet))
        import torch
        <BLANKLINE>
        optimizer = torch.optim.SGD(
            lr=1,
        )
    """
    lines = snippet.splitlines()
    first = next((at for at, line in enumerate(lines) if MADE.match(line)), None)
    if first is None:
        return None
    last = next((at for at, line in enumerate(lines[first:], first) if line.rstrip().endswith(")")), None)
    if last is None:
        return None
    call = lines[first : last + 1]
    name, _, made = call[0].partition(" = ")
    if lines[last + 1 : last + 2] == [f"{name}.train()"]:
        call.append(f"{name}.train()")
    needed = made.partition("(")[0].partition(".")[0]
    imports = [
        line
        for line in lines[:first]
        if line == f"import {needed}" or (line.startswith("from ") and line.endswith(f" import {needed}"))
    ]
    return "\n".join([*imports, *([""] if imports else []), *call])
