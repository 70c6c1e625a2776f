r"""What an optimizer does, for people: a sentence, and its update as the class computes it.

The lines are in a small part of LaTeX, which the pages turn into MathML.
In all of them g is the gradient, \theta are the params, and t counts the steps; the other letters are
hyperparameters (`LETTERS`). Averages start at 0 if no line says otherwise, and products and roots are taken
entry by entry. A line of what is at step 0 says how it starts; one of step 1 is all of that step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LETTERS: Mapping[str, str] = {
    "lr": r"\eta",
    "beta1": r"\beta_1",
    "beta2": r"\beta_2",
    "nu1": r"\nu_1",
    "nu2": r"\nu_2",
    "eps": r"\epsilon",
    "weight_decay": r"\lambda",
    "momentum": r"\mu",
    "alpha": r"\alpha",
    "b0": "b_0",
    "beta": r"\beta",
    "beta3": r"\beta_3",
    "final_lr": r"\eta_f",
    "gamma": r"\gamma",
    "partial": "p",
    "rho": r"\rho",
    "adamw_lr": r"\eta_a",
    "adamw_eps": r"\epsilon_a",
}
"""The letter of each hyperparameter in the lines; a switch and a number of steps have none."""


@dataclass(frozen=True)
class Update:
    """What an optimizer does: a sentence, the lines of its update, and what else there is to know of them."""

    sentence: str
    lines: tuple[str, ...]
    note: str | None = None


PLAIN = r"g_t = \nabla f_t(\theta_{t-1})"
COUPLED = r"g_t = \nabla f_t(\theta_{t-1}) + \lambda \theta_{t-1}"
SHRUNK = r"(1 - \eta \lambda) \theta_{t-1}"
M = r"m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t"
V = r"v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2"
HATS = r"\hat{m}_t = \frac{m_t}{1 - \beta_1^t}, \quad \hat{v}_t = \frac{v_t}{1 - \beta_2^t}"
ADAM_STEP = r"\eta \frac{\hat{m}_t}{\sqrt{\hat{v}_t} + \epsilon}"
QH_STEP = (
    r"\eta \frac{(1 - \nu_1) g_t + \nu_1 \hat{m}_t}{\sqrt{(1 - \nu_2) g_t^2 + \nu_2 \hat{v}_t} + \epsilon}"
)
