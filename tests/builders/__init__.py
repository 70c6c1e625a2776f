"""What the tests make and share; the folders beside it mirror the code's.

- Jobs in a database: `jobs`, `concluded_jobs` (that have come further), `large_jobs`.
- Jobs without one: `trials` (invented results), `confirm_tables`, `studies` (planned, and as if trained),
  `reports` (trained here and concluded).
- Processes and servers: `homes` (both homes of the service), `databases` (PostgreSQL), `compose` (the compose
  file's services).
- Parts to hand in: `services` (a key and a dispatcher), `messages` (what a worker gets), `watches`,
  `optimizers` (an entry that the catalog lacks), `params` (an optimizer's, of every layout).
- In any test: `waiting` for a condition, and `present` values.
"""
