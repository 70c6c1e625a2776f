"""Every page, in the order of the bar; `whichopt.service.app` includes their routes."""

from __future__ import annotations

from whichopt.service.pages import (
    catalog,
    compare,
    datasets,
    docs,
    functions,
    home,
    job,
    job_buttons,
    job_figures,
    job_parts,
    learning,
    new,
    optuna,
)

PAGES = (
    home,
    compare,
    job,
    job_parts,
    learning,  # before the others, whose address would take its name for one of theirs
    job_figures,
    job_buttons,
    optuna,
    new,
    catalog,
    functions,
    datasets,
    docs,
)
