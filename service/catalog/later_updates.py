"""The updates of `later_optimizers`."""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.catalog.update import COUPLED, HATS, PLAIN, M, Update, V

LATER_UPDATES: Mapping[str, Update] = {
    "adagradnorm": Update(
        "Divides the gradient by the root of the sum of all squared norms so far: all params have one step "
        "size, which only falls.",
        (
            r"s_0 = b_0^2",
            COUPLED,
            r"s_t = s_{t-1} + \|g_t\|^2",
            r"\theta_t = \theta_{t-1} - \eta \frac{g_t}{\sqrt{s_t}}",
        ),
        "The norm is that of all params together. Adagrad has a sum for each param; this step goes along the "
        "gradient, and how the params are turned does not matter to it.",
    ),
    "adabound": Update(
        "Adam whose step sizes are kept between two bounds, which close in on final_lr: it begins as Adam, "
        "and ends as SGD with momentum.",
        (
            COUPLED,
            M,
            V,
            r"l_t = \eta_f (1 - \frac{1}{\gamma t + 1}), \quad h_t = \eta_f (1 + \frac{1}{\gamma t})",
            r"n_t = \min(\max(\frac{\eta \sqrt{1 - \beta_2^t}}"
            r"{(1 - \beta_1^t) (\sqrt{v_t + 10^{-15}} + \epsilon)}, l_t), h_t)",
            r"\theta_t = \theta_{t-1} - n_t m_t",
        ),
        "The bounds move with the schedule, as lr does.",
    ),
    "yogi": Update(
        "Adam whose average of squares moves by no more than the last square, so that large gradients are "
        "not forgotten at once.",
        (
            r"m_0 = 10^{-6}, \quad v_0 = 10^{-6}",
            COUPLED,
            M,
            r"v_t = v_{t-1} - (1 - \beta_2) \sign(v_{t-1} - g_t^2) g_t^2",
            HATS,
            r"\theta_t = \theta_{t-1} - \eta \frac{\hat{m}_t}{\sqrt{\hat{v}_t} + \epsilon}",
        ),
    ),
    "msvag": Update(
        "SGD with momentum that shortens the step of each param by the share of noise in its gradient.",
        (
            PLAIN,
            r"m_t = \beta m_{t-1} + (1 - \beta) g_t",
            r"v_t = \beta v_{t-1} + (1 - \beta) g_t^2",
            r"\hat{m}_t = \frac{m_t}{1 - \beta^t}, \quad \hat{v}_t = \frac{v_t}{1 - \beta^t}",
            r"r_t = \min(\frac{(1 - \beta^{2 t}) (1 - \beta)^2}{(1 - \beta^2) (1 - \beta^t)^2}, 0.9999)",
            r"s_t = \frac{\hat{v}_t - \hat{m}_t^2}{1 - r_t}",
            r"f_t = \min(\max(\frac{\hat{m}_t^2}{\hat{m}_t^2 + r_t s_t}, 0), 1)",
            r"\theta_t = \theta_{t-1} - \eta f_t \hat{m}_t",
        ),
        "r s estimates the variance of the average gradient. In the first step there is none, and the factor "
        "is 1.",
    ),
    "fromage": Update(
        "Steps along the gradient by a share lr of the size of each layer's params, and shrinks them so that "
        "they do not grow.",
        (
            PLAIN,
            r"u_t = \frac{\|\theta_{t-1}\|}{\|g_t\|} g_t",
            r"\theta_t = \frac{\theta_{t-1} - \eta u_t}{\sqrt{1 + \eta^2}}",
        ),
        "The norms are those of one tensor of params. If either of them is 0, their ratio is 1.",
    ),
    "padam": Update(
        "Adam whose denominator is taken to a power: at partial = 0.5 it is Adam, and near 0 it is SGD with "
        "momentum.",
        (
            COUPLED,
            M,
            V,
            r"\theta_t = \theta_{t-1} - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} "
            r"\frac{m_t}{(\sqrt{v_t} + \epsilon)^{2 p}}",
        ),
        "This class has no maximum over the averages so far, as the paper's has from AMSGrad.",
    ),
    "adamax": Update(
        "Adam that divides by the largest gradient of the recent past in place of the average size.",
        (
            COUPLED,
            M,
            r"u_t = \max(\beta_2 u_{t-1}, \lvert g_t \rvert + \epsilon)",
            r"\theta_t = \theta_{t-1} - \frac{\eta}{1 - \beta_1^t} \frac{m_t}{u_t}",
        ),
    ),
    "adadelta": Update(
        "Steps as far as the last steps went, times the gradient over its own running size: the length needs "
        "no learning rate.",
        (
            COUPLED,
            r"v_t = \rho v_{t-1} + (1 - \rho) g_t^2",
            r"u_t = \frac{\sqrt{d_{t-1} + \epsilon}}{\sqrt{v_t + \epsilon}} g_t",
            r"d_t = \rho d_{t-1} + (1 - \rho) u_t^2",
            r"\theta_t = \theta_{t-1} - \eta u_t",
        ),
        "The first steps are about the root of eps long, which is 1e-3, and grow from there; lr multiplies "
        "what comes of it.",
    ),
}
