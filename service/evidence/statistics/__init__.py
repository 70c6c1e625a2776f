"""Numbers alone: estimates with their errors, differences of pairs, simultaneous intervals."""
