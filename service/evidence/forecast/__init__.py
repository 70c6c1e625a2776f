"""What a running job may still tell: from its trials (`phases`), simulated seeds and the clock (`job`)."""
