"""Two to four jobs side by side.

- `page`: its route.
- `comparison`: what may be compared, and its lanes.
- `differences`: the keys in which the specs differ.
"""
