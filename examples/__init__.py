"""Training functions as people write them; `before` has them without whichopt."""
