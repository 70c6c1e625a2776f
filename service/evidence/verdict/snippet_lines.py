"""The lines of a snippet that matter: the imports, and the calls that make optimizers and growing batches.

They are found in the text, so that the snippets of earlier versions have them too.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from whichopt.service.batches import TRAINING
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import Recommendation

MADE = re.compile(r"(\w+_)?optimizer = |growing = AdaptiveBatch\(")
"""The start of a call: two players have one each, and a batch that grows has one beside the optimizer's."""


CALLED = re.compile(r"\b([A-Za-z_]\w*)[\w.]*\(")
"""The first name of each call in the lines."""


def lines_to_paste(spec: ResolvedSpec, recommendation: Recommendation) -> str | None:
    """Return the lines of the recommended config that matter; None if its snippet has none.

    What the config says of batches and the schedule is no argument of the class. A remark has it, as it would
    be lost with the training loop.
    """
    lines = lines_that_matter(recommendation.snippet or "")
    if lines is None or recommendation.optimizer is None:
        return lines
    chosen = spec.optimizer(recommendation.optimizer).facts.of_training(recommendation.config or {})
    loop = ", ".join(f"{name} {value}" for name, value in chosen.items() if name in TRAINING)
    return f"{lines}\n# the training loop: {loop}" if loop else lines


def lines_that_matter(snippet: str) -> str | None:
    """Return the calls that make optimizers, with the imports that they need; None if there is no such call.

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
    starts = [at for at, line in enumerate(lines) if MADE.match(line)]
    calls = [call for call in (_call(lines, at) for at in starts) if call]
    if not calls:
        return None
    needed = {name for call in calls for name in CALLED.findall("\n".join(call))}
    imports = [kept for line in lines[: starts[0]] if (kept := _import_of(line, needed))]
    return "\n".join([*imports, *([""] if imports else []), *(line for call in calls for line in call)])


def _call(lines: Sequence[str], first: int) -> list[str]:
    """Return the lines of the call that begins at `first`; none if it has no end."""
    last = next((at for at, line in enumerate(lines[first:], first) if line.rstrip().endswith(")")), None)
    if last is None:
        return []
    to_train = f"{lines[first].partition(' = ')[0]}.train()"
    return [*lines[first : last + 1], *([to_train] if lines[last + 1 : last + 2] == [to_train] else [])]


def _import_of(line: str, needed: Container[str]) -> str:
    """Return the line with those of the needed names that it imports; nothing if it imports none of them."""
    found = re.fullmatch(r"((?:from \S+ )?import )(.+)", line)
    if found is None:
        return ""
    kept = [name for name in found[2].split(", ") if name in needed]
    return f"{found[1]}{', '.join(kept)}" if kept else ""
