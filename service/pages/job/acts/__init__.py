"""The acts of a job's page: each says in `values` what its template is filled with.

- `search`: every trial by its validation value, one lane an optimizer.
- `confirm`: fresh seeds, look by look.
- `verdict`: what to use, how sure we are, and what it cost; `made`: what the finalists' networks make.

`kept_looks` computes the looks of confirm once for all viewers, `looks_table` and `intervals` make lanes of
them. `words`, `verdict_words` and `warning_words` say it; `snippet_lines` takes from a snippet what matters.

`values(scene)` always has `sentence`, which stands above the table.
"""
