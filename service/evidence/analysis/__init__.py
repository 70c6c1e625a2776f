"""What else the trials of a job tell, beside its verdict: a pure function of the spec and the trials."""
