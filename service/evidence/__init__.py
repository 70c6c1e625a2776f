"""Concludes from the results: pure functions of the spec and the recorded trials.

- `statistics`: estimates, intervals and differences of numbers; knows nothing of jobs.
- `verdict`: which config to deploy, which optimizer is better, and how that is told.
- `power`: what a job takes and could show, before it is paid for.
- `analysis`: what else the trials tell, beside the verdict.
- `forecast`: what a running job may still tell.
- `report`: all of it in one file, its figures, and its verification.
"""
