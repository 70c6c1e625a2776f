"""Forecasts what a running job may still tell.

- `search`: what the remaining trials may gain.
- `confirm`: what more fresh seeds may change, by `simulated_seeds`.
- `round`: both, from the results up to a round.
- `job`: that with wall-clock times.
- `durations`: lengths of time and probabilities in words.
"""
