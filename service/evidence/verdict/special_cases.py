"""The inclusion audit: finds optimizers that lost to a setting that is one of their own.

AdamW without decay is Adam; QHAdam with nu1 = nu2 = 1 is Adam; Adam and AdaBelief with a large eps are SGD
with momentum. A general method that is worse than its special case has not been tuned as far as its own
space goes, so that the comparison judges the search, not the method (Choi et al. 2019, arXiv 1910.05446).
Which optimizer contains which is data: a finalist of one optimizer is an inclusion of another if
`whichopt.service.translations` says that they are the same, exactly or in a limit. Two labels of one
optimizer include each other as far as their spaces overlap. A batch size or a schedule that the general
method cannot have keeps the special case out as a range does.

*The test.* Of the special case's finalists take one, c: it is included by the general method G. G is
under-tuned if c is better than every finalist of G that can be deployed, each tested by a one-sided paired
t-test on the fresh seeds; that all reject at one level is an intersection-union test of that level (Berger
1982, Technometrics 24: 295-300). Over all claims (G, c) in a job Bonferroni keeps the chance of one wrong
flag at `level`. The unit is a seed: the claim is about configs that were found, not about studies to come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whichopt.service.batches import grows
from whichopt.service.errors import InvalidSpec
from whichopt.service.evidence.statistics.estimates import ALPHA, Estimate, paired_difference
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.planning.finalists import Finalist
from whichopt.service.space import Categorical, Config, Dimension, Float, Int, Value
from whichopt.service.spec import ResolvedOptimizer, ResolvedSpec
from whichopt.service.translations import MEANING, nearest
from whichopt.service.translations.denominators import FAR, NEGLIGIBLE, Assumed, Exactness, shrinkage
from whichopt.service.views import JobWarning

FLOORS = (1.0, 0.1, 0.03, 0.01)
"""Denominators that are tried for the limit in which a method is SGD, the nearest to it first. At the last
one, gradients with entries of 1e-4 make steps that differ from SGD's by 1%."""


@dataclass(frozen=True)
class Inclusion:
    """The finalist `arm` of another optimizer as a `config` of the optimizer `general`; `outside` are the
    hyperparameters whose ranges in this job do not reach it."""

    general: str
    arm: int
    config: Config
    exactness: Exactness
    outside: tuple[str, ...]


@dataclass(frozen=True)
class _Claim:
    inclusion: Inclusion
    lead: Estimate
    bound: float


def inclusion_warnings(spec: ResolvedSpec, table: ConfirmTable, *, level: float = ALPHA) -> list[JobWarning]:
    """Warn of every special case that is significantly better than the optimizer that includes it.

    The code is `under_tuned` if the searched space contains the special case, and `inclusion_excluded` if a
    space keeps it out.
    """
    included = inclusions(spec, table)
    shown: dict[tuple[str, str], _Claim] = {}
    for claim in _claims(table, included, level):
        pair = claim.inclusion.general, table.arms[claim.inclusion.arm].label
        best = shown.get(pair)
        if best is None or _order(claim) > _order(best):
            shown[pair] = claim
    return [_warning(table, claim) for claim in shown.values()]


def inclusions(spec: ResolvedSpec, table: ConfirmTable) -> list[Inclusion]:
    """Return each finalist that can be deployed, as a setting of each other optimizer that includes it."""
    return [
        inclusion
        for general in spec.optimizers
        for arm in table.finite
        if table.arms[arm].label != general.label
        if (inclusion := _inclusion(spec, general, arm, table.arms[arm])) is not None
    ]


def _inclusion(
    spec: ResolvedSpec, general: ResolvedOptimizer, arm: int, special: Finalist
) -> Inclusion | None:
    best: Inclusion | None = None
    facts = spec.optimizer(special.label).facts
    trained = _trained_alike(spec, general, special)
    if trained is None:
        return None
    training, unlike = trained
    for floor in FLOORS:
        assumed = Assumed(
            gradient=floor / FAR,
            floor=floor,
            beta2=float(general.default.get("beta2", Assumed.beta2)),
            steps=None if spec.guest is not None else spec.steps_of(special.label, special.config),
        )
        try:
            same = nearest(special.optimizer, general.name, facts.own(special.config), assumed)
        except InvalidSpec:
            return None  # they have nothing in common
        if same.exactness == "approximate":
            continue
        outside = tuple(
            name
            for name in same.config
            if name not in same.free and not _reaches(general, name, same.config, assumed)
        )
        outside += unlike
        if best is None or len(outside) < len(best.outside):
            best = Inclusion(general.label, arm, {**same.config, **training}, same.exactness, outside)
    return best


def _trained_alike(
    spec: ResolvedSpec, general: ResolvedOptimizer, special: Finalist
) -> tuple[Config, tuple[str, ...]] | None:
    """Return how the special case is trained, as far as spaces say that, and what of it is out of reach.

    None if the batches of one grow and those of the other do not: then neither is a case of the other. A
    batch that may not grow is as large as a fixed one, but a batch norm scales by each of its parts.
    """
    own = spec.optimizer(special.label).facts.of_training(special.config)
    theirs = general.facts.of_training(general.space)
    if grows(own) != grows(theirs):
        return None
    job: Config = {"schedule": spec.schedule.name, "warmup": spec.schedule.warmup}
    if not grows(own):
        job["batch_size"] = spec.batch_size
    values = {**job, **own}
    outside = tuple(name for name, value in values.items() if not _allows({**job, **theirs}.get(name), value))
    return {name: value for name, value in values.items() if name in theirs or name in outside}, outside


def _allows(allowed: Dimension | Value | None, value: Value) -> bool:
    return allowed.contains(value) if isinstance(allowed, Float | Int | Categorical) else allowed == value


def _reaches(general: ResolvedOptimizer, name: str, config: Config, assumed: Assumed) -> bool:
    """Tell if the search could reach the value; a log range has no 0, but a decay close to it."""
    allowed, value = general.space[name], config[name]
    if _allows(allowed, value):
        return True
    if name != "weight_decay" or not isinstance(allowed, Float | Int):
        return False
    apart = abs(float(allowed.nearest(value)) - float(value))
    return shrinkage(general.facts.meaning, {**config, name: apart}, assumed) < 10 * NEGLIGIBLE


def _claims(table: ConfirmTable, included: list[Inclusion], level: float) -> Iterator[_Claim]:
    """Yield the claims that their tests confirm."""
    tested = [
        (inclusion, rivals)
        for inclusion in included
        if (rivals := [i for i in table.of(inclusion.general) if not table.diverged[i]])
    ]
    for inclusion, rivals in tested:
        tail = level / len(tested)
        leads = [paired_difference(table.losses[i], table.losses[inclusion.arm]) for i in rivals]
        closest = min(leads, key=lambda lead: lead.low(tail))
        if closest.above_zero(tail):
            yield _Claim(inclusion, closest, closest.low(tail))


def _order(claim: _Claim) -> tuple[bool, float]:
    return not claim.inclusion.outside, claim.bound


def _warning(table: ConfirmTable, claim: _Claim) -> JobWarning:
    inclusion, special = claim.inclusion, table.arms[claim.inclusion.arm]
    setting = ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in inclusion.config.items()
    )
    lost = (
        f"All its configs are worse than a setting of {special.label} by at least {claim.bound:.3g} on fresh "
        f"seeds, although that setting is one of its own: {setting} ({MEANING[inclusion.exactness]})."
    )
    if inclusion.outside:
        return JobWarning(
            code="inclusion_excluded",
            detail=f"{lost} {_missed(inclusion.outside)} before you compare the two.",
            optimizer=inclusion.general,
        )
    return JobWarning(
        code="under_tuned",
        detail=f"{lost} Its search missed that setting. Give it more trials, or start it there, before you "
        "conclude that it is worse.",
        optimizer=inclusion.general,
    )


def _missed(outside: Sequence[str]) -> str:
    missed = " and ".join(filter(None, (", ".join(outside[:-1]), outside[-1])))
    return f"Its space has no such {missed}. Widen it"
