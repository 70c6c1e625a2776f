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
from whichopt.service.catalog.update import LETTERS
from whichopt.service.catalog.updates import UPDATES
from whichopt.service.pages.catalog.mathml import TOKEN
from whichopt.workers.engine.optimizers import build

STEPS = 9
CURVATURES = (
    torch.linspace(0.5, 2.0, 3, dtype=torch.float64),
    torch.tensor([3.0, 0.2, 1.0], dtype=torch.float64),
)

CHANGED = {
    "lr": 0.05,
    "weight_decay": 0.1,
    "momentum": 0.8,
    "beta1": 0.7,
    "beta2": 0.9,
    "eps": 1e-3,
    "gamma": 0.5,
}
"""Values by which every letter matters."""

Names = dict[str, Any]

AS_A_VECTOR: Names = {"Q_L": 1.0, "Q_R": 1.0, r"\top": 1.0}
"""What SOAP's matrices are for a param that is none, as those of these tests."""

VECTORS = [entry for entry in optimizers.OPTIMIZERS if not entry.build.matrices]


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
        while self.tokens and self.tokens[-1] not in ("+", "-", ")", "}", ",", r"\|", r"\rvert"):
            found = (found * self.factor()).sum() if self.taken(r"\cdot") else found * self.factor()
        return found

    def factor(self) -> Any:
        found = self.atom()
        return found ** self.atom() if self.taken("^") else found

    def atom(self) -> Any:
        token = self.tokens.pop()
        if token in ("{", "(", r"\|", r"\lvert"):
            found = self.sum()
            assert self.tokens.pop() == {"{": "}", "(": ")", r"\lvert": r"\rvert"}.get(token, token)
            if token == r"\|":
                return found.norm(1 if self.taken("_") and self.tokens.pop() == "1" else 2)
            return found.abs() if token == r"\lvert" else found
        if token == r"\frac":
            return self.atom() / self.atom()
        if token == r"\sqrt":
            found = self.atom()
            return found.sqrt() if isinstance(found, torch.Tensor) else math.sqrt(found)
        if token in (r"\min", r"\max"):
            assert self.taken("(")
            first = self.sum()
            assert self.taken(",")
            both = (torch.as_tensor(one, dtype=torch.float64) for one in (first, self.sum()))
            assert self.taken(")")
            return (torch.minimum if token == r"\min" else torch.maximum)(*both)
        if token == r"\sign":
            return self.atom().sign()
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
    every = list(lines(name))
    letters |= {r"\theta_0": params, "t": 1, r"\theta_t-1": params, **AS_A_VECTOR}
    letters["g_1"] = Formula(dict(every)["g_t"], letters).value()
    known: Names = {**{target: 0.0 for target, _ in every if target.endswith("_t")}, r"\theta_t": params}
    starts = [(at(target, "t"), formula) for target, formula in every if target.endswith("_0")]
    known |= {target: Formula(formula, letters).value() for target, formula in starts}
    first = [(at(target, "t"), formula) for target, formula in every if target.endswith("_1")]
    later = [line for line in every if not line[0].endswith(("_0", "_1"))]
    for t in range(1, STEPS + 1):
        if t == 1 and first:
            known |= {target: Formula(formula, letters).value() for target, formula in first}
            yield known[r"\theta_t"]
            continue
        names = {**letters, "t": t, **{f"{key}-1": known[key] for key in known}}
        for target, formula in later:
            if target == r"\pi_t":
                continue  # a product over the steps so far, which `ahead` multiplies
            if target == r"\mu_t":
                names |= ahead(formula, names)
            elif target == "r_t" and names.get(r"\rho_t", 6) <= 5:
                # The note says that the last factor is 1 then.
                root = math.sqrt(1 - config["beta2"] ** t)
                names["r_t"] = (names["v_t"].sqrt() + config["eps"]) / root
            else:
                names[hatted(target)] = Formula(formula, names).value()
        known = {key: names.get(key, value) for key, value in known.items()}
        yield names[r"\theta_t"]


def at(target: str, step: str) -> str:
    """The name of the same at another step."""
    return f"{target.rpartition('_')[0]}_{step}"


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


@pytest.mark.parametrize("entry", VECTORS, ids=lambda entry: entry.name)
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


def test_muons_lines_are_of_matrices_and_of_the_others() -> None:
    """Its five steps of Newton and Schulz leave singular values of 0.68 to 1.21, by the paper's coefficients
    (Jordan et al. 2024), in bfloat16, which rounds by 2**-8."""
    entry = optimizers.optimizer("muon")
    config: Names = {**entry.default, **{key: CHANGED[key] for key in CHANGED if key in entry.default}}
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(shape, generator=generator) for shape in ((6, 4), (3,))]
    grads = [torch.randn(start.shape, generator=generator) for start in starts]
    params = [torch.nn.Parameter(start.clone()) for start in starts]
    made = build(entry.name, config, params)
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad.clone()
    made.step()
    lr, decay = config["lr"], config["weight_decay"]
    step = ((1 - lr * decay) * starts[0] - params[0].detach()) / (lr * math.sqrt(6 / 4))
    assert ((values := torch.linalg.svdvals(step)) > 0.66).all()
    assert (values < 1.23).all()
    left, _, right = torch.linalg.svd(grads[0], full_matrices=False)
    inside = left.T @ step @ right.T  # diagonal, as the step has the gradient's own directions
    torch.testing.assert_close(inside, inside.diagonal().diag(), rtol=0, atol=0.03)
    # At the first step of AdamW the averages, corrected, are the gradient and its square.
    expected = starts[1] - config["adamw_lr"] * grads[1].sign()
    torch.testing.assert_close(params[1].detach(), expected, rtol=1e-5, atol=1e-6)
