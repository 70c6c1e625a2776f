"""The acts of a job's page: each says in `values` what its template is filled with.

- `search`: every trial by its validation value, one lane an optimizer.
- `confirm`: fresh seeds, look by look.
- `verdict`: what to use, how sure we are, and what it cost.

`values(scene)` always has `sentence`, which stands above the table.
"""
