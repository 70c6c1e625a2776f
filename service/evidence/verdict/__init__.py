"""The conclusion of a job: the table of its confirm runs, the two verdicts on it, and their words."""
