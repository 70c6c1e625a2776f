"""Rules on jobs with a generator and a critic."""

from __future__ import annotations

from collections.abc import Iterator

from whichopt.service.catalog.generation import GanOptions
from whichopt.service.lint.sized import fewest_steps
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import LintFinding

MODEL = "workload.model"

FEW_STEPS = 200
"""Steps of a generator in which it hardly leaves its start: on a ring the modes take some thousand."""

SHORT_MEMORY = 0.2
"""Least beta1 with which AdaBelief's step is no more than a few times lr."""


def player_rules(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find options of a generator and its critic that do nothing, or not what is meant."""
    if spec.guest is not None or spec.cataloged.model.name != "gan":
        return
    options = GanOptions(**spec.cataloged.model.options)
    yield from _loss(options)
    yield from _steps(spec, options)
    yield from _beliefs(spec)


def _loss(options: GanOptions) -> Iterator[LintFinding]:
    penalized = options.loss == "wgan-gp"
    if not penalized and options.penalty != GanOptions().penalty:
        yield LintFinding(
            code="penalty_unused",
            severity="warning",
            field=f"{MODEL}.penalty",
            what=f"penalty is {options.penalty:g}, but the loss is {options.loss}",
            why="only the loss wgan-gp has a gradient penalty, so the option changes nothing",
            instead="set loss to wgan-gp, or leave penalty out",
        )
    if penalized and options.spectral_norm and options.penalty:
        yield LintFinding(
            code="slopes_limited_twice",
            severity="note",
            field=f"{MODEL}.spectral_norm",
            what="the critic has spectral normalization and a gradient penalty",
            why="both limit its slopes: the penalty pulls them to 1, and spectral normalization keeps those "
            "of each layer below 1, so they may never get there",
            instead="keep one of the two, unless that is what you study",
        )


def _steps(spec: ResolvedSpec, options: GanOptions) -> Iterator[LintFinding]:
    trial = min(fewest_steps(spec, chosen) for chosen in spec.optimizers)
    steps = -(-trial // options.critic_steps)
    if steps >= FEW_STEPS:
        return
    shared = f", as it takes one of every {options.critic_steps}" if options.critic_steps > 1 else ""
    yield LintFinding(
        code="few_generator_steps",
        severity="warning",
        field="budget.epochs",
        what=f"the generator has {steps} of a trial's {trial} steps{shared}",
        why="a generator needs some thousand steps to find the modes; before that, the comparison shows who "
        "leaves the start first",
        instead="use more epochs, smaller batches or fewer critic_steps",
    )


def _beliefs(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find AdaBelief with hardly any momentum, as recipes for GANs have it for Adam."""
    for place, chosen in enumerate(spec.optimizers):
        beta1 = chosen.default.get("beta1")
        if chosen.facts.meaning.floor != "accumulated" or not isinstance(beta1, int | float):
            continue
        if beta1 < SHORT_MEMORY:
            yield LintFinding(
                code="belief_without_momentum",
                severity="warning",
                field=f"optimizers.{place}",
                what=f"{chosen.label}: beta1 = {beta1:g}",
                why="AdaBelief divides by how far a gradient is from its average, which shrinks with beta1: "
                f"the first step is {1 / beta1:,.0f} times lr, and GANs with beta1 = 0 ended in NaN",
                instead="use 0.5, as AdaBelief's authors do for GANs; an Adam with beta1 = 0 is fine",
            )
