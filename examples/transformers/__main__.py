"""`python -m examples.transformers` runs examples/transformers_.py.

A file of the library's own name would be imported in its place by whatever has this folder on its path, as
`python examples/lora.py` has; a folder without `__init__.py` is not.
"""

import runpy

runpy.run_module("examples.transformers_", run_name="__main__", alter_sys=True)
