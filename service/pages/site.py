"""Every page, in the order of the bar; `service.app` includes their routes."""

from __future__ import annotations

from whichopt.service.pages import catalog, datasets, docs, home, job, job_buttons, learning, new

PAGES = (home, job, job_buttons, learning, new, catalog, datasets, docs)
