"""This machine's GPU: do results repeat, agree, and survive crashes?"""
