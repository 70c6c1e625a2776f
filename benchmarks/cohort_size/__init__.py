"""Cohorts of many sizes: what is company worth?"""
