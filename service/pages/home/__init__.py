"""The page at `/`: the jobs, with their answers.

- `page`: its routes: the whole page, and the rows that stay true while jobs run.
- `rows`: what a row says.
"""
