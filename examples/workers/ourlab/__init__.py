"""A package of training functions, as workers have it mounted."""
