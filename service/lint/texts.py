"""Rules on texts: too little of it for the lanes of a batch, or for the tokens that there are."""

from __future__ import annotations

from collections.abc import Iterator

from whichopt.service.lint.sized import every_size
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import LintFinding

FEW_WINDOWS = 4
"""Windows of a lane in an epoch below which the state that is carried along it hardly counts."""

FEW_OF_EACH = 20
"""Tokens of the training part for each token that there is, below which most of them are hardly ever seen."""


def text_rules(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find what is too small about the text of a job; nothing if its data are no text."""
    if spec.guest is not None:
        return
    shape, train = spec.cataloged.shape, spec.sizes.train
    if shape.tokens is None:
        return
    for path, size in _longest(spec).items():
        if train < FEW_WINDOWS * size:
            yield LintFinding(
                code="short_lanes",
                severity="warning",
                field=path,
                what=f"the {train:,} training windows are read in {size} lanes, so an epoch has "
                f"{-(-train // size)} steps",
                why="a batch has a window of each lane, and a state is carried along the lane: in lanes so "
                "short most windows begin without one that knows the text, and optimizers differ over many "
                "steps",
                instead=f"set {path.rpartition('.')[2]} to at most {max(1, train // FEW_WINDOWS)}, or length "
                "to less",
            )
    seen = train * shape.features
    if seen < FEW_OF_EACH * shape.tokens:
        yield LintFinding(
            code="rare_tokens",
            severity="warning",
            field="workload.dataset.tokens",
            what=f"the training part has {seen:,} tokens, of {shape.tokens:,} different ones",
            why="most of them are seen a few times at most, so what is compared is how fast frequencies are "
            "learned",
            instead="use a longer text, or set tokens to bytes, of which there are 256"
            if shape.tokens > 256
            else "use a longer text",
        )


def _longest(spec: ResolvedSpec) -> dict[str, int]:
    """Return the most lanes by the path of what says so."""
    found: dict[str, int] = {}
    for path, size in every_size(spec):
        found[path] = max(size, found.get(path, size))
    return found
