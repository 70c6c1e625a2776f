"""Every page, in the order of the bar; `service.app` includes their routes."""

from __future__ import annotations

from whichopt.service.pages import catalog, datasets, docs, home, job, job_buttons, new

PAGES = (home, job, job_buttons, new, catalog, datasets, docs)
