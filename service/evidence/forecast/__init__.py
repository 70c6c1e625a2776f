"""Forecasts a running job from its trials (`phases`), simulated seeds and the clock (`job`)."""
