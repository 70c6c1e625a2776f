"""What a step of the networks for images costs, and what stacking is worth for them."""
