"""What is trained next, and how long it takes: pure functions; Optuna comes in as one function, `Suggest`."""
