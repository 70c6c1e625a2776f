"""Every page, in the order of the bar; `whichopt.service.app` includes their routes."""

from __future__ import annotations

from whichopt.service.pages import docs
from whichopt.service.pages.catalog import functions
from whichopt.service.pages.catalog import page as catalog
from whichopt.service.pages.compare import page as compare
from whichopt.service.pages.datasets import page as datasets
from whichopt.service.pages.home import page as home
from whichopt.service.pages.job import batches, buttons, figures, learning, made, optuna, parts
from whichopt.service.pages.job import page as job
from whichopt.service.pages.new import page as new

PAGES = (
    home,
    compare,
    job,
    parts,
    made,
    batches,
    learning,  # before the others, whose address would take its name for one of theirs
    figures,
    buttons,
    optuna,
    new,
    catalog,
    functions,
    datasets,
    docs,
)
