"""The toy functions of the AdaBelief paper, at equal and at tuned learning rates."""
