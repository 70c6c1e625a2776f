"""Plans what to train next and for how long: pure functions; Optuna comes in as one, `Suggest`."""
