"""The part of a snippet that divides a person's rows by the job's rule: the test rows are the job's own.

A seed draws training and validation as in one of the job's confirm runs; with groups, as such a run might.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from whichopt.service.catalog.shapes import Sizes
from whichopt.service.splits import BUNDLES, TEST_SEED, TEST_SHARE
from whichopt.service.uploads import Kind, Upload

PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""Words for the parts (`whichopt.workers.intake.division.PARTS`)."""

DRAWN = (
    "",
    "",
    "def drawn(rows, count, seed):",
    '    """So many of the rows, with the shares of the classes: every so manieth in the order of labels."""',
    "    shuffled = np.random.default_rng(seed).permutation(rows)",
    '    ordered = shuffled[np.argsort({labels}, kind="stable")]',
    "    return ordered[((np.arange(count) + 0.5) * len(rows) / count).astype(int)]",
    "",
    "",
)


def division(upload: Upload, sizes: Sizes, seed: int) -> list[str]:
    """Return the lines that make `train` and `test`, the numbers of rows."""
    return _RULES[upload.split.kind](upload, sizes, seed)


def _drawn(upload: Upload) -> list[str]:
    labels = "labels[shuffled]" if upload.classes is not None else "np.zeros(len(rows))"
    return [line.replace("{labels}", labels) for line in DRAWN]


def _random(upload: Upload, sizes: Sizes, seed: int) -> list[str]:
    return [
        *_drawn(upload),
        f"test = drawn(np.arange(len(table)), {sizes.test}, seed={TEST_SEED})  # the job's own",
        "rest = np.setdiff1d(np.arange(len(table)), test)",
        f"train = np.setdiff1d(rest, drawn(rest, {sizes.validation}, seed={seed}))  # the others validate",
    ]


def _given(upload: Upload, sizes: Sizes, seed: int) -> list[str]:
    return [
        *_drawn(upload),
        f"part = table[{upload.split.column!r}].str.lower()",
        f"test = np.flatnonzero(part.isin({list(PARTS['test'])}))",
        f"train = np.flatnonzero(part.isin({list(PARTS['train'])}))",
        f"if len(train) > {sizes.train}:  # as no rows are given for validation",
        f"    train = np.setdiff1d(train, drawn(train, {sizes.validation}, seed={seed}))",
    ]


def _time(upload: Upload, sizes: Sizes, seed: int) -> list[str]:  # noqa: ARG001
    kind = (upload.split_kind or Kind.NUMERIC).value
    return [
        f'in_time = np.argsort(numbers({upload.split.column!r}, {kind!r}).to_numpy(), kind="stable")',
        f"train, _, test = np.split(in_time, [{sizes.train}, {sizes.train + sizes.validation}])"
        "  # test has the latest",
    ]


def _group(upload: Upload, sizes: Sizes, seed: int) -> list[str]:
    column = f"table[{upload.split.column!r}]"
    if upload.split_kind in (Kind.NUMERIC, Kind.BOOL, Kind.DATE):
        column = f"numbers({upload.split.column!r}, {upload.split_kind.value!r})"
    return [
        f"group = pd.factorize({column})[0]",
        'place = np.argsort(np.argsort(-np.bincount(group), kind="stable"))',
        f"bundle = np.where(place < {BUNDLES}, place, {BUNDLES} + place % {BUNDLES})[group]",
        "rows = np.bincount(bundle)",
        "",
        "# The job's own test part: in a random order, all groups that bring it nearer to its share of rows.",
        f"tested, taken, share = set(), 0, {TEST_SHARE} * len(table)",
        f"for one in np.random.default_rng({TEST_SEED}).permutation(len(rows)):",
        "    more = taken + rows[one]",
        "    largest = max(rows[i] for i in range(len(rows)) if i != one and i not in tested)",
        "    if abs(more - share) < abs(taken - share) and len(table) - more - largest >= more:",
        "        tested.add(one)",
        "        taken = more",
        "tested = tested or {np.argmin(rows)}",
        "test = np.flatnonzero(np.isin(bundle, list(tested)))",
        f"order = np.random.default_rng({seed}).permutation(len(rows))",
        "rest = np.concatenate([np.flatnonzero(bundle == one) for one in order if one not in tested])",
        f"train = rest[:{sizes.train}]  # the others validate",
    ]


_RULES: Mapping[str, Callable[[Upload, Sizes, int], list[str]]] = {
    "random": _random,
    "column": _given,
    "group": _group,
    "time": _time,
}
