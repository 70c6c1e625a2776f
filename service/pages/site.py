"""Every page, in the order of the bar; `service.app` includes their routes."""

from __future__ import annotations

from whichopt.service.pages import catalog, datasets, docs, functions, home, job, job_buttons, new, optuna

PAGES = (home, job, job_buttons, optuna, new, catalog, functions, datasets, docs)
