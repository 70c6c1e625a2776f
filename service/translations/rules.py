"""Rules that translate one optimizer to another: a function for each pair, and their table.

What several say alike: a decay rate, a learning rate and an eps carry over by the denominators of both
(`whichopt.service.translations.denominators`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from whichopt.service.catalog import optimizers
from whichopt.service.catalog.optimizer_entry import Meaning
from whichopt.service.space import Config
from whichopt.service.translations.denominators import (
    FAR,
    NEGLIGIBLE,
    Assumed,
    Exactness,
    Translated,
    accumulated,
    denominator,
    floor,
    number,
    shrinkage,
)
from whichopt.service.translations.later_rules import LATER_RULES, Rule


def _meaning(name: str) -> Meaning:
    return optimizers.optimizer(name).meaning


# -- from and to Adam ----------------------------------------------------------------------------------


def _coupled_to_decoupled(config: Config, assumed: Assumed) -> Translated:
    adam = _meaning("adam")
    decay = number(config, "weight_decay") / denominator(adam, config, assumed.gradient)
    return _decays({**config, "weight_decay": decay}, shrinkage(adam, config, assumed), assumed)


def _decoupled_to_coupled(config: Config, assumed: Assumed) -> Translated:
    adam, adamw = _meaning("adam"), _meaning("adamw")
    decay = number(config, "weight_decay") * denominator(adam, config, assumed.gradient)
    return _decays({**config, "weight_decay": decay}, shrinkage(adamw, config, assumed), assumed)


def _decays(config: Config, shrinks: float, assumed: Assumed) -> Translated:
    if shrinks == 0:
        return Translated(config, "exact", ("without decay they are the same optimizer",))
    if shrinks < NEGLIGIBLE:
        return Translated(
            config, "limit", (f"over the run the decay shrinks the params by a share of only {shrinks:.1g}",)
        )
    return Translated(
        config,
        "approximate",
        (
            "a coupled decay is divided by sqrt(v) + eps as the gradient is, so that params with small "
            f"gradients decay more; they are equal per step if the gradient's entry is {assumed.gradient:g} "
            "(they agree exactly for plain SGD only: Loshchilov and Hutter 2019, arXiv 1711.05101)",
        ),
        (
            "weight_decay is not copied: coupled and decoupled decay have different units; both shrink "
            "with the schedule's learning rate; search it on the target's own range",
        ),
    )


def _adam_to_qhadam(config: Config, _: Assumed) -> Translated:
    return Translated(
        {**config, "nu1": 1.0, "nu2": 1.0},
        "rounding",
        ("with nu1 = nu2 = 1 only the averages count; their running weights are Adam's bias correction",),
    )


def _qhadam_to_adam(config: Config, _: Assumed) -> Translated:
    shared = {name: value for name, value in config.items() if name not in ("nu1", "nu2")}
    nu1, nu2 = number(config, "nu1"), number(config, "nu2")
    if nu1 in (0.0, 1.0) and nu2 in (0.0, 1.0):
        betas = {"beta1": nu1 * number(config, "beta1"), "beta2": nu2 * number(config, "beta2")}
        return Translated(
            {**shared, **betas}, "rounding", ("a nu of 1 uses only the average, a nu of 0 does not use it",)
        )
    betas = {f"beta{i}": _same_age(number(config, f"beta{i}"), nu) for i, nu in ((1, nu1), (2, nu2))}
    return Translated(
        {**shared, **betas},
        "approximate",
        ("QHAdam mixes average and last gradient; these betas give the gradients the same mean age",),
    )


def _same_age(beta: float, nu: float) -> float:
    """The decay rate of the average whose gradients are as old, in the mean, as those of the mixture."""
    age = nu * beta / (1 - beta)
    return age / (1 + age)


def _rectifies(config: Config, assumed: Assumed) -> Translated:
    beta2 = number(config, "beta2")
    settled = beta2 > 2 / 3 and assumed.long_against(beta2)
    return Translated(
        dict(config),
        "limit" if settled else "approximate",
        (
            "RAdam's first steps are SGD's, those after them are shortened (at beta2 = 0.999 to 0.05 of "
            "Adam's at step 10, 0.31 at 200, 0.65 at 1,000), and in the end they are Adam's (Liu et al. "
            "2020, arXiv 1908.03265)",
        ),
        () if settled else ("in a short run the learning rates are not comparable",),
    )


def _nesterov(config: Config, _: Assumed) -> Translated:
    if number(config, "beta1") == 0:
        return Translated(dict(config), "rounding", ("without momentum NAdam is Adam",))
    return Translated(
        dict(config),
        "approximate",
        (
            "NAdam looks one step ahead, and its momentum rises from beta1 / 2 to beta1 over about 6,000 "
            "steps",
        ),
    )


def _nadam_to_qhadam(config: Config, _: Assumed) -> Translated:
    return Translated(
        {**config, "nu1": config["beta1"], "nu2": 1.0},
        "approximate",
        (
            "nu1 = beta1 is Nesterov's momentum (Ma and Yarats 2019, arXiv 1810.06801); torch's NAdam "
            "reaches it over about 6,000 steps, as its momentum rises from beta1 / 2",
        ),
    )


def _rmsprop_to_adam(config: Config, assumed: Assumed) -> Translated:
    momentum = number(config, "momentum")
    moved = {
        "lr": number(config, "lr") / (1 - momentum),
        "beta1": momentum,
        "beta2": config["alpha"],
        "eps": config["eps"],
        "weight_decay": config["weight_decay"],
    }
    return _uncorrected(moved, momentum, number(config, "alpha"), assumed)


def _adam_to_rmsprop(config: Config, assumed: Assumed) -> Translated:
    momentum = number(config, "beta1")
    moved = {
        "lr": number(config, "lr") * (1 - momentum),
        "alpha": config["beta2"],
        "eps": config["eps"],
        "momentum": momentum,
        "weight_decay": config["weight_decay"],
    }
    return _uncorrected(moved, momentum, number(config, "beta2"), assumed)


def _uncorrected(config: Config, momentum: float, alpha: float, assumed: Assumed) -> Translated:
    settled = momentum == 0 and assumed.long_against(alpha)
    ahead = 1 / math.sqrt(1 - alpha)
    why = [
        "both add eps outside the root, but RMSprop does not correct the average's bias: its first step "
        f"is {ahead:.3g} times Adam's, and they agree after about {1 / (1 - alpha):,.0f} steps"
    ]
    if momentum:
        why.append("RMSprop averages the divided gradients, Adam divides the averaged ones")
    careful = () if settled or ahead < 2 else ("a warm-up avoids RMSprop's long first steps",)
    return Translated(config, "limit" if settled else "approximate", tuple(why), careful)


# -- from and to SGD -----------------------------------------------------------------------------------

_CONSTANT = (
    "with eps far above the gradient the denominator is a constant; the bias correction makes the first "
    "1 / (1 - momentum) steps longer than SGD's"
)


def _sgd_to_adam(config: Config, assumed: Assumed) -> Translated:
    averaged = _sgd_to_qhadam({**config, "nesterov": False}, assumed)
    config_of_adam = {name: value for name, value in averaged.config.items() if name not in ("nu1", "nu2")}
    if config["nesterov"] is True:
        ahead = "Adam's momentum does not look ahead as Nesterov's does; qhadam has that"
        return replace(averaged, config=config_of_adam, exactness="approximate", why=(*averaged.why, ahead))
    return replace(averaged, config=config_of_adam)


def _sgd_to_qhadam(config: Config, assumed: Assumed) -> Translated:
    momentum, nesterov = number(config, "momentum"), config["nesterov"] is True
    moved: Config = {
        "lr": number(config, "lr") * (assumed.floor + assumed.gradient) / (1 - momentum),
        "beta1": momentum,
        "beta2": assumed.beta2,
        "eps": assumed.floor,
        "weight_decay": config["weight_decay"],
        "nu1": momentum if nesterov else 1.0,
        "nu2": 1.0,
    }
    limit = assumed.floor >= FAR * assumed.gradient
    return Translated(
        moved,
        "limit" if limit else "approximate",
        (_CONSTANT, *(("nu1 = momentum is Nesterov's",) if nesterov else ())),
        free=frozenset({"beta2"}),
    )


def _adam_to_sgd(config: Config, assumed: Assumed) -> Translated:
    momentum, eps = number(config, "beta1"), number(config, "eps")
    moved: Config = {
        "lr": number(config, "lr") * (1 - momentum) / (eps + assumed.gradient),
        "momentum": momentum,
        "nesterov": False,
        "weight_decay": config["weight_decay"],
    }
    if eps >= FAR * assumed.gradient:
        return Translated(moved, "limit", (_CONSTANT,))
    return Translated(
        moved,
        "approximate",
        (
            "Adam's steps are about lr long whatever the gradient; SGD's are as long if the "
            f"gradient's entry is {assumed.gradient:g}",
        ),
        ("the learning rate depends on the size of the gradients (--gradient), which change as it trains",),
    )


# -- from and to AdaBelief -----------------------------------------------------------------------------

_BELIEF = (
    "AdaBelief divides by the distance of the gradient from its running mean: steps are as long as Adam's if "
    "gradients are noise about 0, and longer if they agree (3.4 times at a mean of three deviations)"
)


_EPS = "eps is not copied"


def _to_adabelief(source: str) -> Callable[[Config, Assumed], Translated]:
    def rule(config: Config, assumed: Assumed) -> Translated:
        meaning, target = _meaning(source), _meaning("adabelief")
        eps = accumulated(number(config, "eps"), number(config, "beta2"))
        moved: Config = {**config, "eps": eps, "rectify": False}
        ours, theirs = (denominator(m, c, assumed.gradient) for m, c in ((meaning, config), (target, moved)))
        moved["lr"] = number(config, "lr") * theirs / ours
        copied = floor(target, {**moved, "eps": config["eps"]})
        squared = floor(target, {**moved, "eps": number(config, "eps") ** 2})
        warning = (
            f"{_EPS}: AdaBelief adds it under the root at every step, so it accumulates. "
            f"{eps:.3g} gives Adam's floor; {number(config, 'eps'):.3g} would give {copied:.3g}, and "
            f"the rule of thumb, the square of Adam's eps, would give {squared:.3g}"
        )
        return _believes(meaning, config, target, moved, number(config, "eps"), warning, assumed)

    return rule


def _sgd_to_adabelief(config: Config, assumed: Assumed) -> Translated:
    adam = _sgd_to_adam(config, assumed)
    believing = _to_adabelief("adam")(adam.config, assumed)
    worst: Exactness = "approximate" if "approximate" in (adam.exactness, believing.exactness) else "limit"
    # SGD has no eps that could have been copied.
    warnings = tuple(text for text in believing.warnings if not text.startswith(_EPS))
    return replace(
        believing, exactness=worst, why=(*adam.why, *believing.why), warnings=warnings, free=adam.free
    )


def _from_adabelief(target_name: str) -> Callable[[Config, Assumed], Translated]:
    def rule(config: Config, assumed: Assumed) -> Translated:
        meaning, target = _meaning("adabelief"), _meaning(target_name)
        eps = floor(meaning, config)
        moved: Config = {name: value for name, value in config.items() if name != "rectify"} | {"eps": eps}
        ours, theirs = (denominator(m, c, assumed.gradient) for m, c in ((meaning, config), (target, moved)))
        moved["lr"] = number(config, "lr") * theirs / ours
        warning = f"{_EPS}: {eps:.3g} is the floor that AdaBelief's {number(config, 'eps'):.3g} makes"
        translated = _believes(meaning, config, target, moved, eps, warning, assumed)
        if config["rectify"] is True:
            dropped = "rectify has no counterpart: use a warm-up, or radam"
            return replace(translated, exactness="approximate", warnings=(*translated.warnings, dropped))
        return translated

    return rule


def _believes(
    meaning: Meaning,
    config: Config,
    target: Meaning,
    moved: Config,
    eps: float,
    warning: str,
    assumed: Assumed,
) -> Translated:
    """`moved`, whose denominator is in place, with a decay that shrinks as much per step."""
    once = replace(assumed, steps=1)
    unit = shrinkage(target, {**moved, "weight_decay": 1.0}, once)
    moved["weight_decay"] = shrinkage(meaning, config, once) / unit
    limit: Exactness = "limit" if eps >= FAR * assumed.gradient else "approximate"
    why = (_CONSTANT if limit == "limit" else _BELIEF,)
    decays = _decays(moved, shrinkage(meaning, config, assumed), assumed)
    if meaning.decay == target.decay or decays.exactness == "exact":
        return Translated(moved, limit, why, (warning,))
    return Translated(
        moved,
        "approximate" if decays.exactness == "approximate" else limit,
        (*why, *decays.why),
        (warning, *decays.warnings),
    )


RULES: Mapping[tuple[str, str], Rule] = {
    ("adam", "adamw"): _coupled_to_decoupled,
    ("adamw", "adam"): _decoupled_to_coupled,
    ("adam", "qhadam"): _adam_to_qhadam,
    ("qhadam", "adam"): _qhadam_to_adam,
    ("adamw", "qhadamw"): _adam_to_qhadam,
    ("qhadamw", "adamw"): _qhadam_to_adam,
    ("adam", "radam"): _rectifies,
    ("radam", "adam"): _rectifies,
    ("adam", "nadam"): _nesterov,
    ("nadam", "adam"): _nesterov,
    ("nadam", "qhadam"): _nadam_to_qhadam,
    ("adam", "rmsprop"): _adam_to_rmsprop,
    ("rmsprop", "adam"): _rmsprop_to_adam,
    ("sgd", "adam"): _sgd_to_adam,
    ("adam", "sgd"): _adam_to_sgd,
    ("sgd", "qhadam"): _sgd_to_qhadam,
    ("sgd", "adabelief"): _sgd_to_adabelief,
    ("adam", "adabelief"): _to_adabelief("adam"),
    ("adamw", "adabelief"): _to_adabelief("adamw"),
    ("adabelief", "adam"): _from_adabelief("adam"),
    ("adabelief", "adamw"): _from_adabelief("adamw"),
    **LATER_RULES,
}
"""Rules from one optimizer to another; all other pairs are reached by way of these."""
