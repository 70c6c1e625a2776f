"""The page of one job: one table in three acts, kept true while it runs.

- `page`: its routes: the whole page, and its stream; `buttons`, `parts`, `made`, `figures`, `learning` and
  `optuna` have the addresses below it.
- `scene`: what a drawing starts from; `drawing` makes the parts of the page, `rail` and `time_left` its head.
- `acts`: the values of search, confirm and verdict.
- `lanes`: the scale of the lanes; `search_lane`, `lane_marks` and `search_words` are those of the search.
- `live`: the parts that have changed; `watch`: one poller for all viewers of a job.
- `drawn_figures`: the figures, from a job's rows.
"""
