"""Rules of the optimizers that came later: from a limit, an average, or their authors' advice.

Advice is a range of factors, of which the middle one is taken, by factors: between 3 and 10 that is 5.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from whichopt.service.catalog import optimizers
from whichopt.service.space import Config
from whichopt.service.translations.denominators import Assumed, Translated, number

Rule = Callable[[Config, Assumed], Translated]

YOGI = 1.538
"""The root of Yogi's v over the size of the noise. v rests where as much of the mean square lies in gradients
below sqrt(v) as above: of normal noise at 2.366, the median of a chi-squared variable with 3 degrees."""

BOUNDED = 100
"""Steps times gamma from which AdaBound's bounds are within 1% of final_lr."""


def _without(config: Config, *names: str) -> Config:
    return {name: value for name, value in config.items() if name not in names}


def _by_default(name: str, *hyperparameters: str) -> Config:
    entry = optimizers.optimizer(name)
    return {one: entry.default[one] for one in hyperparameters}


# -- Padam, AdaBound, Yogi, ADOPT ----------------------------------------------------------------------

_EARLY_EPS = "its eps joins the root before the squares are corrected, which only the first steps show"


def _adam_to_padam(config: Config, _: Assumed) -> Translated:
    return Translated(
        {**config, "partial": 0.5},
        "limit",
        (f"at partial = 0.5 Padam's denominator is Adam's; {_EARLY_EPS}",),
    )


def _padam_to_adam(config: Config, assumed: Assumed) -> Translated:
    power = 2 * number(config, "partial")
    if power == 1:
        return Translated(_without(config, "partial"), "limit", (_EARLY_EPS,))
    size = assumed.gradient + number(config, "eps")
    moved = {**_without(config, "partial"), "lr": number(config, "lr") * size ** (1 - power)}
    # A coupled decay is divided as the gradient is, and lr makes up for that.
    return Translated(
        moved,
        "approximate",
        (
            f"Padam divides by the denominator to the power of {power:g}; steps are as long if the "
            f"gradient's entry is {assumed.gradient:g}",
        ),
        ("the learning rate depends on the size of the gradients (--gradient), which change as it trains",),
    )


def _adam_to_adabound(config: Config, _: Assumed) -> Translated:
    return Translated(
        {**config, **_by_default("adabound", "final_lr"), "gamma": 1e-12},
        "limit",
        (f"with gamma near 0 the bounds stay open and AdaBound is Adam; {_EARLY_EPS}",),
        free=frozenset({"final_lr"}),
    )


def _adabound_to_sgd(config: Config, assumed: Assumed) -> Translated:
    momentum = number(config, "beta1")
    moved: Config = {
        "lr": number(config, "final_lr") * (1 - momentum),
        "momentum": momentum,
        "nesterov": False,
        "weight_decay": config["weight_decay"],
    }
    closed = assumed.steps is not None and assumed.steps * number(config, "gamma") >= BOUNDED
    return Translated(
        moved,
        "limit" if closed else "approximate",
        ("AdaBound's step sizes end at final_lr: it is then SGD with momentum (Luo et al. 2019)",),
        () if closed else ("until gamma times the steps is 100 it is still between Adam and SGD",),
    )


def _sgd_to_adabound(config: Config, assumed: Assumed) -> Translated:
    momentum = number(config, "momentum")
    moved: Config = {
        "lr": optimizers.optimizer("adabound").default["lr"],
        "beta1": momentum,
        **_by_default("adabound", "beta2", "eps"),
        "weight_decay": config["weight_decay"],
        "final_lr": number(config, "lr") / (1 - momentum),
        "gamma": 0.1,
    }
    closed = assumed.steps is not None and assumed.steps * 0.1 >= BOUNDED and config["nesterov"] is False
    ahead = ("AdaBound's momentum does not look ahead as Nesterov's does",) if config["nesterov"] else ()
    return Translated(
        moved,
        "limit" if closed else "approximate",
        ("at this gamma the bounds are within 1% of final_lr after 1,000 steps", *ahead),
        free=frozenset({"lr", "beta2", "eps"}),
    )


def _adam_to_yogi(config: Config, assumed: Assumed) -> Translated:
    return _by_yogis_root(config, assumed, to_yogi=True)


def _yogi_to_adam(config: Config, assumed: Assumed) -> Translated:
    return _by_yogis_root(config, assumed, to_yogi=False)


def _by_yogis_root(config: Config, assumed: Assumed, *, to_yogi: bool) -> Translated:
    eps = number(config, "eps")
    longer = (YOGI * assumed.gradient + eps) / (assumed.gradient + eps)
    factor = longer if to_yogi else 1 / longer
    return Translated(
        # A coupled decay is divided as the gradient is, so lr serves both.
        {**config, "lr": number(config, "lr") * factor},
        "approximate",
        (
            f"under noise about 0 the root of Yogi's average is {YOGI} times Adam's, as each square moves it "
            "by itself, up or down; after a large gradient it falls more slowly (Zaheer et al. 2018)",
        ),
    )


def _adopt(config: Config, _: Assumed) -> Translated:
    return Translated(
        dict(config),
        "approximate",
        (
            "ADOPT divides each gradient by the squares before it and averages what comes of it, Adam "
            "divides the average; under noise their steps are as long (Taniguchi et al. 2024, arXiv "
            "2411.02853)",
        ),
    )


# -- by a paper's own advice ---------------------------------------------------------------------------

SIGNS = math.sqrt(3 * 10)
ADAN = math.sqrt(5 * 10)
FREE_ADAMW, FREE_SGD = math.sqrt(1 * 10), math.sqrt(10 * 50)


def _adamw_to_lion(config: Config, _: Assumed) -> Translated:
    return Translated(
        {
            "lr": number(config, "lr") / SIGNS,
            **_by_default("lion", "beta1", "beta2"),
            "weight_decay": number(config, "weight_decay") * SIGNS,
        },
        "approximate",
        (
            "steps of a sign are longer than AdamW's: Lion's lr is 3 to 10 times smaller and its decay as "
            "much larger, with betas of its own (Chen et al. 2023, arXiv 2302.06675); here the middle, 5.5",
        ),
        ("search lr around it by a factor of 3 each way",),
    )


def _lion_to_adamw(config: Config, _: Assumed) -> Translated:
    return Translated(
        {
            "lr": number(config, "lr") * SIGNS,
            **_by_default("adamw", "beta1", "beta2", "eps"),
            "weight_decay": number(config, "weight_decay") / SIGNS,
        },
        "approximate",
        (
            "AdamW's lr is 3 to 10 times Lion's and its decay as much smaller, with betas of its own (Chen "
            "et al. 2023, arXiv 2302.06675); here the middle, 5.5",
        ),
        ("search lr around it by a factor of 3 each way",),
    )


def _adamw_to_adan(config: Config, _: Assumed) -> Translated:
    return Translated(
        {
            "lr": number(config, "lr") * ADAN,
            **_by_default("adan", "beta1", "beta2", "beta3", "weight_decay"),
            "eps": config["eps"],
        },
        "approximate",
        (
            "its authors train with 5 to 10 times AdamW's lr, with betas of its own and one decay, 0.02, for "
            "all that they tried (Xie et al. 2022, arXiv 2208.06677, and their code's page); here the "
            "middle, 7.1",
        ),
        ("search lr around it by a factor of 3 each way",),
    )


def _adamw_to_schedulefree(config: Config, _: Assumed) -> Translated:
    return Translated(
        {
            **config,
            "lr": number(config, "lr") * FREE_ADAMW,
            **_by_default("schedulefree_adamw", "warmup_steps"),
        },
        "approximate",
        (
            "without a schedule the lr is 1 to 10 times that with one, which falls (Defazio et al. 2024, "
            "arXiv 2405.15682, and their code's page); here the middle, 3.2",
        ),
        ("leave the schedule out, and set warmup_steps: its authors recommend a warm-up",),
    )


def _sgd_to_schedulefree(config: Config, _: Assumed) -> Translated:
    return Translated(
        {
            "lr": number(config, "lr") * FREE_SGD,
            **_by_default("schedulefree_sgd", "momentum", "warmup_steps"),
            "weight_decay": config["weight_decay"],
        },
        "approximate",
        (
            "without a schedule SGD's lr is 10 to 50 times that with one, and momentum is a place between "
            "two points instead, 0.9 as a rule (Defazio et al. 2024, arXiv 2405.15682, and their code's "
            "page); here the middle, 22",
        ),
        ("leave the schedule out, and set warmup_steps: its authors recommend a warm-up",),
    )


LATER_RULES: Mapping[tuple[str, str], Rule] = {
    ("adam", "padam"): _adam_to_padam,
    ("padam", "adam"): _padam_to_adam,
    ("adam", "adabound"): _adam_to_adabound,
    ("adabound", "sgd"): _adabound_to_sgd,
    ("sgd", "adabound"): _sgd_to_adabound,
    ("adam", "yogi"): _adam_to_yogi,
    ("yogi", "adam"): _yogi_to_adam,
    ("adam", "adopt"): _adopt,
    ("adopt", "adam"): _adopt,
    ("adamw", "lion"): _adamw_to_lion,
    ("lion", "adamw"): _lion_to_adamw,
    ("adamw", "adan"): _adamw_to_adan,
    ("adamw", "schedulefree_adamw"): _adamw_to_schedulefree,
    ("sgd", "schedulefree_sgd"): _sgd_to_schedulefree,
}
"""Rules from one optimizer to another."""

LATER_REASONS: Mapping[str, str] = {
    "adagradnorm": "AdaGradNorm divides by the root of the sum of all squared norms so far, so its steps "
    "fall with the length of the run and with the number of params",
    "fromage": "Fromage steps by a share of the norm of each tensor's params, so one learning rate of it is "
    "another one of theirs for every tensor",
    "muon": "Muon makes the steps of a matrix orthogonal, so their length goes by the shape of each",
    "msvag": "M-SVAG shortens SGD's steps by the share of noise in each gradient, which no setting knows",
    "prodigy": "Prodigy finds the length of its steps from how far the params have come, which no setting "
    "knows",
    "adadelta": "Adadelta finds the length of its steps from the steps before, which no setting knows",
}
"""Why an optimizer cannot have a rule."""
