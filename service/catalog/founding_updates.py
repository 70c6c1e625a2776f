"""The updates of `founding_optimizers`."""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.catalog.update import (
    ADAM_STEP,
    COUPLED,
    HATS,
    PLAIN,
    QH_STEP,
    SHRUNK,
    M,
    Update,
    V,
)

FOUNDING_UPDATES: Mapping[str, Update] = {
    "adabelief": Update(
        "Steps by how far the gradient is from what was expected of it: where the gradient surprises, steps "
        "are short.",
        (
            PLAIN,
            M,
            r"s_t = \beta_2 s_{t-1} + (1 - \beta_2) (g_t - m_t)^2 + \epsilon",
            r"\hat{m}_t = \frac{m_t}{1 - \beta_1^t}, \quad \hat{s}_t = \frac{s_t}{1 - \beta_2^t}",
            rf"\theta_t = {SHRUNK} - \eta \frac{{\hat{{m}}_t}}{{\sqrt{{\hat{{s}}_t}} + \epsilon}}",
        ),
        "Adam has the size of the gradient where this has its distance to the mean. With rectify, the first "
        "steps are shortened as RAdam's are.",
    ),
    "sgd": Update(
        "Steps along a running sum of the gradients: a direction that stays gains speed, and one that keeps "
        "flipping cancels out.",
        (
            COUPLED,
            r"b_t = \mu b_{t-1} + g_t",
            r"\theta_t = \theta_{t-1} - \eta b_t",
        ),
        "With nesterov, the step goes along the gradient plus the momentum times b, which is one step ahead.",
    ),
    "adam": Update(
        "Divides a running mean of the gradient by its running size, so that each param steps by about lr, "
        "however large its gradient is.",
        (COUPLED, M, V, HATS, rf"\theta_t = \theta_{{t-1}} - {ADAM_STEP}"),
    ),
    "adamw": Update(
        "Adam with a weight decay that shrinks the params themselves, and is not divided by the size of the "
        "gradient.",
        (PLAIN, M, V, HATS, rf"\theta_t = {SHRUNK} - {ADAM_STEP}"),
    ),
    "radam": Update(
        "Adam that holds back its first steps, until it has seen enough gradients to trust their size.",
        (
            COUPLED,
            M,
            V,
            r"\rho_\infty = \frac{2}{1 - \beta_2} - 1, \quad "
            r"\rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}",
            r"r_t = \sqrt{\frac{(\rho_t - 4) (\rho_t - 2) \rho_\infty}"
            r"{(\rho_\infty - 4) (\rho_\infty - 2) \rho_t}}",
            r"\theta_t = \theta_{t-1} - \eta \frac{m_t}{1 - \beta_1^t} "
            r"\frac{r_t \sqrt{1 - \beta_2^t}}{\sqrt{v_t} + \epsilon}",
        ),
        "While rho is at most 5 (the first five steps if beta2 is 0.999), the last factor is 1.",
    ),
    "nadam": Update(
        "Adam that looks ahead: the gradient counts as the next step's momentum already would count it.",
        (
            COUPLED,
            M,
            V,
            r"\mu_t = \beta_1 (1 - \frac{1}{2} 0.96^{0.004 t}), \quad \pi_t = \mu_1 \mu_2 \cdots \mu_t",
            r"\hat{m}_t = \frac{\mu_{t+1} m_t}{1 - \pi_{t+1}} + \frac{(1 - \mu_t) g_t}{1 - \pi_t}, \quad "
            r"\hat{v}_t = \frac{v_t}{1 - \beta_2^t}",
            rf"\theta_t = \theta_{{t-1}} - {ADAM_STEP}",
        ),
    ),
    "rmsprop": Update(
        "Divides the gradient by its running size, and adds momentum to the result if there is any.",
        (
            COUPLED,
            r"v_t = \alpha v_{t-1} + (1 - \alpha) g_t^2",
            r"b_t = \mu b_{t-1} + \frac{g_t}{\sqrt{v_t} + \epsilon}",
            r"\theta_t = \theta_{t-1} - \eta b_t",
        ),
        "The average is not corrected for its start at 0, so the first steps are long.",
    ),
    "adagrad": Update(
        "Divides the gradient by the root of the sum of all its squares so far, so that steps only get "
        "shorter.",
        (
            COUPLED,
            r"s_t = s_{t-1} + g_t^2",
            r"\theta_t = \theta_{t-1} - \eta \frac{g_t}{\sqrt{s_t} + \epsilon}",
        ),
    ),
    "qhadam": Update(
        "Adam that mixes its running mean with the plain gradient, so that a long memory does not make it "
        "slow to turn.",
        (COUPLED, M, V, HATS, rf"\theta_t = \theta_{{t-1}} - {QH_STEP}"),
    ),
    "qhadamw": Update(
        "QHAdam with a weight decay that shrinks the params themselves, as in AdamW.",
        (PLAIN, M, V, HATS, rf"\theta_t = {SHRUNK} - {QH_STEP}"),
    ),
    "lamb": Update(
        "Adam whose step in each layer grows with the size of that layer's params; made for large batches.",
        (
            PLAIN,
            M,
            V,
            r"u_t = \frac{m_t}{\sqrt{v_t} + \epsilon} + \lambda \theta_{t-1}",
            r"\theta_t = \theta_{t-1} - \frac{\eta}{1 - \beta_1^t} "
            r"\frac{\min(\|\theta_{t-1}\|, 10)}{\|u_t\| + \epsilon} u_t",
        ),
        "The norms are those of one tensor of params, and their ratio is 1 if either of them is 0.",
    ),
}
