"""Plug-ins: networks, data and optimizers from packages that are installed beside the workers.

The service reads their names alone. A worker has a process of its own import each once and tells what it
found (`offered`); a training process imports one when a job names it (`loaded`).
"""

from __future__ import annotations
