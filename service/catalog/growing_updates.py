"""What Adagrad and AdaGradNorm do if their batches grow."""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.catalog.update import COUPLED, Update

GROWN = (
    "The next batch is as large as would keep the standard deviation of its gradient at batch_eta times the "
    "gradient's length, but at most batch_growth times as large as this one, and at most batch_max."
)

GROWING_UPDATES: Mapping[str, Update] = {
    "adadagrad": Update(
        "Adagrad whose batches grow as the gradient sinks into the noise of its examples.",
        (
            COUPLED,
            r"s_t = s_{t-1} + g_t^2",
            r"\theta_t = \theta_{t-1} - \eta \frac{g_t}{\sqrt{s_t} + \epsilon}",
        ),
        GROWN,
    ),
    "adadagradnorm": Update(
        "AdaGradNorm whose batches grow as the gradient sinks into the noise of its examples.",
        (
            r"s_0 = b_0^2",
            COUPLED,
            r"s_t = s_{t-1} + \|g_t\|^2",
            r"\theta_t = \theta_{t-1} - \eta \frac{g_t}{\sqrt{s_t}}",
        ),
        GROWN,
    ),
}
