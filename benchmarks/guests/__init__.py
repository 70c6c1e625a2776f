"""What a trial of a person's own function costs beside the function."""
