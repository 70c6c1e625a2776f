"""The chances that the verdicts name a true leader, by simulated jobs of the calibration's worlds."""
