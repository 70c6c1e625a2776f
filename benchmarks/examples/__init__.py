"""How often the interval over seeds and test examples holds the truth, in made-up worlds and in training."""
