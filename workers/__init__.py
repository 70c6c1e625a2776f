"""Turns plans into results: all training, all sampling. Nobody imports it but its own processes."""
