"""Ask MKL for products of matrices that do not depend on what else is computed beside them.

By itself MKL picks its kernels by a product's shape and by where its memory begins, and on a CPU without
AVX-512 a network of a stack then gets other last bits in other company. With its conditional numerical
reproducibility it takes the kernels of one instruction set throughout (oneMKL Developer Guide, "Obtaining
numerically reproducible results"). `AUTO` is the best set that the CPU has, and costs nothing measurable.

MKL reads the variable at its first product, so it has to be set before. `whichopt.workers.engine.agree` then
probes whether products agree.
"""

from __future__ import annotations

import os
import re

MODE_VARIABLE = "MKL_CBWR"
MODE = "AUTO"


def ask_for_reproducible_products() -> None:
    """Set MKL's mode for this process and its children, unless the user has set one.

    An empty value counts as set: it leaves MKL as it is by itself.
    """
    os.environ.setdefault(MODE_VARIABLE, MODE)


def mode() -> str:
    """The mode that MKL was asked for, as MKL spells it; "off" without one."""
    return os.environ.get(MODE_VARIABLE) or "off"


def blas() -> str:
    """torch's library for products of matrices, with its version if torch tells it."""
    import torch

    built = torch.__config__.show()
    name = re.search(r"BLAS_INFO=(\w+)", built)
    version = re.search(r"Math Kernel Library Version (\d[\w.]*)", built)
    return " ".join(part[1] for part in (name, version) if part is not None) or "unknown"
