"""The six toy functions of AdaBelief's Figure 3, and runs of three optimizers on them.

Source: Zhuang et al., AdaBelief Optimizer, https://arxiv.org/abs/2010.07468. The functions and the settings
(lr 1e-3; betas 0.9 and 0.999, momentum 0.9, but 0.3 for all of these on the last function) are the paper's;
the starts are those of a public re-creation of its figures. All is float64, and every minimum is 0.

Two kinds of runs: ``descend`` steps a torch optimizer, one run at a time, and keeps the path; ``scan`` takes
every learning rate, start and method at once, as rows of one tensor. Both find the same steps.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from adabelief import AdaBelief
from adabelief.functional import update_

LR = 1e-3
SMALL_LR = 1e-6  # the paper's for SGD, where 1e-3 diverges
TOLERANCE = 1e-3
MAX_STEPS = 12_000

Betas = tuple[float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Problem:
    """A function of x and y whose minimum is 0."""

    name: str
    f: Callable[[Tensor, Tensor], Tensor]
    start: Point
    minimum: Point
    betas: Betas = (0.9, 0.999)
    """Of Adam and AdaBelief; SGD's momentum is the first."""


def beale(x: Tensor, y: Tensor) -> Tensor:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


PROBLEMS = (
    Problem("abs(x) + abs(y)", lambda x, y: x.abs() + y.abs(), (-2.5, 0.0), (0.0, 0.0)),
    Problem(
        "abs(x + y) + abs(x - y)/10", lambda x, y: (x + y).abs() + (x - y).abs() / 10, (2.5, 0.0), (0.0, 0.0)
    ),
    Problem(
        "(x + y)^2 + (x - y)^2/10", lambda x, y: (x + y) ** 2 + (x - y) ** 2 / 10, (2.5, 0.0), (0.0, 0.0)
    ),
    Problem("Beale", beale, (-2.5, -2.5), (3.0, 0.5)),
    Problem("Rosenbrock", lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, (-4.0, -4.0), (1.0, 1.0)),
    Problem(
        "abs(x)/10 + abs(y)", lambda x, y: x.abs() / 10 + y.abs(), (0.5, -1.5), (0.0, 0.0), betas=(0.3, 0.3)
    ),
)


@dataclass(frozen=True)
class Method:
    """An optimizer twice: as a torch class for one run, and as a step of many runs, each with its lr."""

    name: str
    make: Callable[[list[Tensor], float, Betas], Optimizer]
    step_: Callable[[Tensor, Tensor, Tensor, Tensor, int, Tensor, Betas], None]
    """Of theta, its gradient, two moments, the number of the step, a column of learning rates, the betas."""


def _adabelief_(theta: Tensor, g: Tensor, m: Tensor, s: Tensor, t: int, lr: Tensor, betas: Betas) -> None:
    update_(theta, g, m, s, t=t, lr=lr, beta1=betas[0], beta2=betas[1], eps=1e-16)


def _adam_(theta: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, lr: Tensor, betas: Betas) -> None:
    beta1, beta2 = betas
    m.lerp_(g, 1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    theta.sub_(m / ((v / (1 - beta2**t)).sqrt() + 1e-8) * (lr / (1 - beta1**t)))


def _sgd_(theta: Tensor, g: Tensor, m: Tensor, _: Tensor, t: int, lr: Tensor, betas: Betas) -> None:  # noqa: ARG001
    m.mul_(betas[0]).add_(g)
    theta.sub_(lr * m)


METHODS = (
    Method("AdaBelief", lambda params, lr, betas: AdaBelief(params, lr, betas), _adabelief_),
    Method("Adam", lambda params, lr, betas: torch.optim.Adam(params, lr, betas), _adam_),
    Method("SGD", lambda params, lr, betas: torch.optim.SGD(params, lr, momentum=betas[0]), _sgd_),
)


def dampened_sgd(params: list[Tensor], lr: float, betas: Betas) -> Optimizer:
    """SGD whose momentum is an average of gradients rather than their sum, as Adam's is."""
    return torch.optim.SGD(params, lr, momentum=betas[0], dampening=betas[0])


@dataclass(frozen=True)
class Run:
    """One run: where it was and what f was there, before each step and after the last."""

    lr: float
    path: list[Point]
    values: list[float]

    @property
    def steps(self) -> int | None:
        """How many steps it took to reach the minimum, or None."""
        return len(self.values) - 1 if self.values[-1] < TOLERANCE else None

    @property
    def diverged(self) -> bool:
        return not math.isfinite(self.values[-1])


def descend(
    problem: Problem,
    make: Callable[[list[Tensor], float, Betas], Optimizer],
    lr: float = LR,
    max_steps: int = MAX_STEPS,
) -> Run:
    """Step a torch optimizer until f is below the tolerance, is no longer finite, or the steps are used up.

    Example:
        >>> descend(PROBLEMS[0], METHODS[0].make).steps
        395
    """
    theta = torch.tensor(problem.start, dtype=torch.float64, requires_grad=True)
    optimizer = make([theta], lr, problem.betas)
    path: list[Point] = []
    values: list[float] = []
    while True:
        x, y = theta.unbind()
        f = problem.f(x, y)
        path.append((x.item(), y.item()))
        values.append(f.item())
        if values[-1] < TOLERANCE or not math.isfinite(values[-1]) or len(values) > max_steps:
            return Run(lr, path, values)
        optimizer.zero_grad()
        f.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def equal_rates(
    problem: Problem, make: Callable[[list[Tensor], float, Betas], Optimizer], max_steps: int = MAX_STEPS
) -> list[Run]:
    """The paper's run, at lr 1e-3; where that diverges, one at 1e-6 after it."""
    run = descend(problem, make, LR, max_steps)
    return [run, descend(problem, make, SMALL_LR, max_steps)] if run.diverged else [run]


@dataclass(frozen=True)
class Scan:
    """What became of every run of a problem; tensors of methods x rates x starts, inf for never."""

    lrs: list[float]
    first: Tensor
    """Steps until f was below the tolerance for the first time."""
    settled: Tensor
    """Steps after which f stayed below the tolerance to the end."""
    lowest: Tensor
    """The lowest f seen."""


def grid(low: int, high: int, per_decade: int) -> list[float]:
    """Learning rates from 10^low to 10^high, evenly spaced in the logarithm.

    Example:
        >>> grid(-4, -2, 1)
        [0.0001, 0.001, 0.01]
    """
    return [10 ** (low + k / per_decade) for k in range((high - low) * per_decade + 1)]


def starts(problem: Problem, number: int, spread: float = 0.1) -> Tensor:
    """The problem's start, then others uniformly within ``spread`` of it in x and y, always the same."""
    offsets = torch.rand(number, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    offsets[0] = 0
    return torch.tensor(problem.start, dtype=torch.float64) + spread * offsets


def scan(problem: Problem, lrs: Sequence[float], begin: Tensor, max_steps: int = MAX_STEPS) -> Scan:
    """Run every method from every start at every learning rate, ``max_steps`` steps each."""
    rows = (len(METHODS), len(lrs), len(begin))
    lr = torch.tensor(lrs, dtype=torch.float64)[:, None, None]
    theta = begin.repeat(*rows[:2], 1, 1).requires_grad_()
    m, v = torch.zeros_like(theta), torch.zeros_like(theta)
    first = torch.full(rows, math.inf, dtype=torch.float64)
    settled, lowest = first.clone(), first.clone()
    for t in range(max_steps + 1):
        x, y = theta.unbind(-1)
        f = problem.f(x, y)
        (g,) = torch.autograd.grad(f.sum(), theta)
        with torch.no_grad():
            below = f < TOLERANCE
            first.masked_fill_(below & first.isinf(), t)
            settled.masked_fill_(~below, math.inf).masked_fill_(below & settled.isinf(), t)
            torch.fmin(lowest, f, out=lowest)
            if t < max_steps:
                for i, method in enumerate(METHODS):
                    method.step_(theta[i], g[i], m[i], v[i], t + 1, lr, problem.betas)
    return Scan(list(lrs), first, settled, lowest)


@dataclass(frozen=True)
class Tuned:
    """The best learning rate of a grid."""

    steps: int | None
    lr: float | None
    decades: float
    """How much of the grid, in factors of ten, needs at most twice the steps."""


def best(lrs: Sequence[float], steps: Tensor) -> Tuned:
    """The learning rate of the fewest steps.

    Example:
        >>> best([0.01, 0.1, 1.0], torch.tensor([90.0, 50.0, torch.inf]))
        Tuned(steps=50, lr=0.1, decades=2.0)
    """
    i = int(steps.argmin())
    fewest = steps[i].item()
    if not math.isfinite(fewest):
        return Tuned(None, None, 0.0)
    spacing = math.log10(lrs[-1] / lrs[0]) / (len(lrs) - 1)
    return Tuned(int(fewest), lrs[i], round(int((steps <= 2 * fewest).sum()) * spacing, 3))
