"""The same search by Optuna, by Ray Tune and by whichopt: what does it cost?"""
