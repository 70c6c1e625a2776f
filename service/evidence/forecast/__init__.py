"""What a running job may still tell: by its trials (`phases`), by simulated seeds, and by the clock (`job`)."""
