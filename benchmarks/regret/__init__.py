"""Equal seconds for all: is what whichopt picks as good as what people do with Optuna?"""
