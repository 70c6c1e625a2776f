"""The page at `/new`: a job put together in a form.

- `page`: its routes.
- `form`, `space`, `options`, `values`: the fields, and the spec that they make.
- `begin`, `fill`: the fields that an earlier job, a pasted spec or a link gives.
- `check`: what is wrong, at its field; `plans`: what the job takes and may tell; `presets`: how careful.
- `workload_choices`: datasets, tasks and models that go together.
- `view`: what the templates are given; `elsewhere`: the same job as JSON, curl and Python.
"""
