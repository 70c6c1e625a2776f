"""Simulated jobs whose truth is known: do the verdicts keep their promises?"""
