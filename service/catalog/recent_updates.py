"""The updates of `recent_optimizers`."""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.catalog.update import COUPLED, HATS, PLAIN, SHRUNK, M, Update, V

RECENT_UPDATES: Mapping[str, Update] = {
    "lion": Update(
        "Steps every param by exactly lr, in the direction of a mean of the gradients, and keeps one average "
        "only.",
        (
            PLAIN,
            rf"\theta_t = {SHRUNK} - \eta \sign(\beta_1 m_{{t-1}} + (1 - \beta_1) g_t)",
            r"m_t = \beta_2 m_{t-1} + (1 - \beta_2) g_t",
        ),
        "As steps do not get shorter with the gradient, lr is smaller than AdamW's and the decay larger.",
    ),
    "muon": Update(
        "Makes the momentum of each weight matrix orthogonal, so that a step is as long in each of its "
        "directions; the other params are stepped by AdamW.",
        (
            PLAIN,
            r"b_t = \mu b_{t-1} + (1 - \mu) g_t, \quad u_t = \mu b_t + (1 - \mu) g_t",
            r"o_t = u_t (u_t^\top u_t)^{-\frac{1}{2}}",
            rf"\theta_t = {SHRUNK} - \eta \sqrt{{\max(1, \frac{{r}}{{c}})}} o_t",
            M,
            V,
            HATS,
            r"\theta_t = \theta_{t-1} - \eta_a \frac{\hat{m}_t}{\sqrt{\hat{v}_t} + \epsilon_a}",
        ),
        "The lines with b, u and o are of params with two dimensions or more, as matrices of r rows and c "
        "columns; those with m and v of all others. o is found by five steps of Newton and Schulz, which "
        "leave its singular values between about 0.7 and 1.2.",
    ),
    "soap": Update(
        "Adam in the directions in which the gradients of a matrix vary most and least, which are found anew "
        "every few steps.",
        (
            r"\theta_1 = \theta_0",
            PLAIN,
            r"L_t = \beta_2 L_{t-1} + (1 - \beta_2) g_t g_t^\top, \quad "
            r"R_t = \beta_2 R_{t-1} + (1 - \beta_2) g_t^\top g_t",
            M,
            r"h_t = Q_L^\top g_t Q_R, \quad v_t = \beta_2 v_{t-1} + (1 - \beta_2) h_t^2",
            r"u_t = \frac{Q_L^\top m_t Q_R}{\sqrt{v_t} + \epsilon}",
            r"\theta_t = (1 - \eta \lambda) (\theta_{t-1} - \eta \frac{\sqrt{1 - \beta_2^{t-1}}}"
            r"{1 - \beta_1^{t-1}} Q_L u_t Q_R^\top)",
        ),
        "The columns of the Qs are the eigenvectors of L and of R, renewed every 10 steps. The first step "
        "only begins them. A side above 1,024, and a param that is no matrix, is left as it is.",
    ),
    "adan": Update(
        "Adam that looks ahead by the difference of the last two gradients, of which it keeps an average of "
        "its own.",
        (
            r"g_0 = g_1",
            PLAIN,
            r"d_t = g_t - g_{t-1}",
            M,
            r"v_t = \beta_2 v_{t-1} + (1 - \beta_2) d_t",
            r"n_t = \beta_3 n_{t-1} + (1 - \beta_3) (g_t + \beta_2 d_t)^2",
            rf"{HATS}, \quad \hat{{n}}_t = \frac{{n_t}}{{1 - \beta_3^t}}",
            r"\theta_t = \frac{1}{1 + \eta \lambda} (\theta_{t-1} - \eta \frac{\hat{m}_t + \beta_2 \hat{v}_t}"
            r"{\sqrt{\hat{n}_t} + \epsilon})",
        ),
    ),
    "prodigy": Update(
        "Adam that finds its learning rate as it goes, by how far the params have come from their start: lr "
        "is a factor on it.",
        (
            r"d_0 = 10^{-6}",
            PLAIN,
            r"r_t = \sqrt{\beta_2} r_{t-1} + \eta d_{t-1}^2 g_t \cdot (\theta_0 - \theta_{t-1})",
            r"s_t = \sqrt{\beta_2} s_{t-1} + \eta d_{t-1}^2 g_t",
            r"d_t = \max(d_{t-1}, \frac{r_t}{\|s_t\|_1})",
            r"m_t = \beta_1 m_{t-1} + (1 - \beta_1) d_{t-1} g_t",
            r"v_t = \beta_2 v_{t-1} + (1 - \beta_2) d_{t-1}^2 g_t^2",
            r"\theta_t = (1 - \eta \lambda d_{t-1}) \theta_{t-1} - \eta d_{t-1} "
            r"\frac{m_t}{\sqrt{v_t} + d_t \epsilon}",
        ),
        "The product and the sum are over all params together.",
    ),
    "adopt": Update(
        "Adam that divides each gradient by the squares before it, and averages what comes of it: then any "
        "beta2 converges.",
        (
            r"v_1 = g_1^2, \quad \theta_1 = \theta_0",
            COUPLED,
            r"c_t = t^{\frac{1}{4}}",
            r"n_t = \min(\max(\frac{g_t}{\max(\sqrt{v_{t-1}}, \epsilon)}, -c_t), c_t)",
            r"m_t = \beta_1 m_{t-1} + (1 - \beta_1) n_t",
            r"\theta_t = \theta_{t-1} - \eta m_t",
            V,
        ),
        "The first step only begins the squares.",
    ),
    "schedulefree_adamw": Update(
        "AdamW without a schedule: it trains between its fast params and their mean over time, and evaluates "
        "the mean.",
        (
            r"z_0 = \theta_0, \quad x_0 = \theta_0",
            PLAIN,
            V,
            r"\hat{v}_t = \frac{v_t}{1 - \beta_2^t}",
            r"u_t = \frac{g_t}{\sqrt{\hat{v}_t + 10^{-15}} + \epsilon} + \lambda \theta_{t-1}",
            r"z_t = z_{t-1} - \eta u_t",
            r"x_t = (1 - \frac{1}{t}) x_{t-1} + \frac{1}{t} z_t",
            r"\theta_t = (1 - \beta_1) z_t + \beta_1 x_t",
        ),
        "x is evaluated. During warmup_steps lr rises, and what was seen then counts for less in x.",
    ),
    "schedulefree_sgd": Update(
        "SGD without a schedule: it trains between its fast params and their mean over time, and evaluates "
        "the mean.",
        (
            r"z_0 = \theta_0, \quad x_0 = \theta_0",
            COUPLED,
            r"z_t = z_{t-1} - \eta g_t",
            r"x_t = (1 - \frac{1}{t}) x_{t-1} + \frac{1}{t} z_t",
            r"\theta_t = (1 - \mu) z_t + \mu x_t",
        ),
        "x is evaluated. During warmup_steps lr rises, and what was seen then counts for less in x.",
    ),
}
