"""What follows from the results: pure functions of the spec and the recorded trials."""
