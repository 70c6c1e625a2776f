"""Optimizers, models, datasets, tasks and functions, as the service knows them.

- `page`: the routes; `tabs`: the rows of the tabs; `functions`: the functions that are allowed.
- `mathml`: formulas; `option_words`: the options of a model in words.
"""
