"""The formulas on the catalog's pages are what the classes compute: each is worked out, step by step."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from whichopt.service.catalog import optimizers
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.updates import LETTERS, UPDATES
from whichopt.service.pages.catalog.mathml import TOKEN

STEPS = 9
CURVATURES = (
    torch.linspace(0.5, 2.0, 3, dtype=torch.float64),
    torch.tensor([3.0, 0.2, 1.0], dtype=torch.float64),
)

CHANGED = {"lr": 0.05, "weight_decay": 0.1, "momentum": 0.8, "beta1": 0.7, "beta2": 0.9, "eps": 1e-3}
"""Values by which every letter matters."""

Names = dict[str, Any]


def gradient(t: int, params: torch.Tensor) -> torch.Tensor:
    """The gradient of step t at these params."""
    return CURVATURES[t % 2] * params - 0.1 * t


class Formula:
    """Works out one side of a line of LaTeX, given what its names stand for."""

    def __init__(self, text: str, names: Names) -> None:
        self.tokens = TOKEN.findall(text)[::-1]
        self.names = names

    def value(self) -> Any:
        found = self.sum()
        assert not self.tokens, f"{self.tokens[::-1]} is left"
        return found

    def sum(self) -> Any:
        found = -self.product() if self.taken("-") else self.product()
        while self.tokens and self.tokens[-1] in "+-":
            sign = self.tokens.pop()
            found = found + self.product() if sign == "+" else found - self.product()
        return found

    def product(self) -> Any:
        found = self.factor()
        while self.tokens and self.tokens[-1] not in ("+", "-", ")", "}", ",", r"\|"):
            found = found * self.factor()
        return found

    def factor(self) -> Any:
        found = self.atom()
        return found ** self.atom() if self.taken("^") else found

    def atom(self) -> Any:
        token = self.tokens.pop()
        if token in ("{", "(", r"\|"):
            found = self.sum()
            assert self.tokens.pop() == {"{": "}", "(": ")"}.get(token, token)
            return found.norm() if token == r"\|" else found
        if token == r"\frac":
            return self.atom() / self.atom()
        if token == r"\sqrt":
            found = self.atom()
            return found.sqrt() if isinstance(found, torch.Tensor) else math.sqrt(found)
        if token == r"\min":
            self.tokens.pop()
            first = self.sum()
            assert self.taken(",")
            found = min(first, self.sum())
            assert self.taken(")")
            return found
        if token == r"\nabla":
            for expected in ("f", "_", "t"):
                assert self.tokens.pop() == expected
            return gradient(self.names["t"], self.atom())
        if token[0].isdigit():
            return float(token)
        return self.names[self.name(token)]

    def name(self, token: str) -> str:
        if token == r"\hat":
            token += "".join(self.tokens.pop() for _ in range(3))
        if not self.taken("_"):
            return token
        below = self.tokens.pop()
        if below == "{":
            below = ""
            while (part := self.tokens.pop()) != "}":
                below += part
        return f"{token}_{below}"

    def taken(self, token: str) -> bool:
        return bool(self.tokens) and self.tokens[-1] == token and self.tokens.pop() == token


def lines(name: str) -> Iterator[tuple[str, str]]:
    """Each name that the update gives a value, and the formula of it."""
    for line in UPDATES[name].lines:
        for part in line.split(r", \quad "):
            target, _, formula = part.partition(" = ")
            yield target.replace("{", "").replace("}", ""), formula


def by_formula(name: str, config: Names, params: torch.Tensor) -> Iterator[torch.Tensor]:
    """The params after each step, as the lines say."""
    letters = {LETTERS[key]: value for key, value in config.items() if key in LETTERS}
    known: Names = {**letters, r"\theta_t": params, "m_t": 0.0, "v_t": 0.0, "s_t": 0.0, "b_t": 0.0}
    for t in range(1, STEPS + 1):
        names = {**letters, "t": t, **{f"{key}-1": known[key] for key in known if key.endswith("_t")}}
        for target, formula in lines(name):
            if target == r"\pi_t":
                continue  # a product over the steps so far, which `ahead` multiplies
            if target == r"\mu_t":
                names |= ahead(formula, names)
            elif target == "r_t" and names[r"\rho_t"] <= 5:
                # The note says that the last factor is 1 then.
                root = math.sqrt(1 - config["beta2"] ** t)
                names["r_t"] = (names["v_t"].sqrt() + config["eps"]) / root
            else:
                names[hatted(target)] = Formula(formula, names).value()
        known |= {key: value for key, value in names.items() if key.endswith("_t")}
        yield names[r"\theta_t"]


def hatted(target: str) -> str:
    """The name as `Formula.name` spells it."""
    return rf"\hat{{{target[4]}}}_t" if target.startswith(r"\hat") else target


def ahead(formula: str, names: Names) -> Names:
    """NAdam's momentum of this step and of the next, and the products up to them."""
    mu = [Formula(formula, {**names, "t": k}).value() for k in range(1, names["t"] + 2)]
    return {
        r"\mu_t": mu[-2],
        r"\mu_t+1": mu[-1],
        r"\pi_t": math.prod(mu[:-1]),
        r"\pi_t+1": math.prod(mu),
    }


@pytest.mark.parametrize("entry", optimizers.OPTIMIZERS, ids=lambda entry: entry.name)
def test_a_formula_is_what_its_class_computes(entry: OptimizerEntry) -> None:
    config = {**entry.default, **{key: value for key, value in CHANGED.items() if key in entry.default}}
    start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    params = start.clone().requires_grad_()
    module, _, cls = entry.build.target.rpartition(".")
    made = getattr(importlib.import_module(module), cls)(
        [params], **entry.arguments(config), **entry.build.fixed
    )
    for t, expected in enumerate(by_formula(entry.name, config, start), start=1):
        params.grad = gradient(t, params.detach()).clone()
        made.step()
        torch.testing.assert_close(params.detach(), expected, rtol=1e-5, atol=1e-7)
