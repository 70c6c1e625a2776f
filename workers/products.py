"""Ask MKL for products of matrices that do not depend on what else is computed beside them.

By itself MKL picks its kernels by a product's shape and by where its memory begins, and on a CPU without
AVX-512 a network of a stack then gets other last bits in other company. With its conditional numerical
reproducibility it takes the kernels of one instruction set throughout (oneMKL Developer Guide, "Obtaining
numerically reproducible results"). `AUTO` is the best set that the CPU has, and costs nothing measurable.

MKL reads the variable at its first product, so it has to be set before. `whichopt.workers.engine.agree` then
probes whether products agree.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

MODE_VARIABLE = "MKL_CBWR"
MODE = "AUTO"


def ask_for_reproducible_products() -> None:
    """Set MKL's mode for this process and its children, unless the user has set one.

    An empty value counts as set: it leaves MKL as it is by itself.
    """
    os.environ.setdefault(MODE_VARIABLE, MODE)


def mode() -> str:
    """The mode that MKL was asked for, as MKL spells it; "off" without one, or if it was asked too late.

    A notebook may have multiplied before it imported whichopt: then the variable says what MKL never read.
    """
    asked = os.environ.get(MODE_VARIABLE) or "off"
    return "off" if _branch() == BRANCH_OFF else asked


BRANCH, BRANCH_OFF = 1, 1
"""MKL_CBWR_BRANCH asks for the branch of kernels; MKL_CBWR_BRANCH_OFF is that of MKL by itself (mkl.h)."""


def _branch() -> int | None:
    """Return the branch of kernels that MKL has taken, as `mkl_cbwr_get` numbers them; None if it cannot be
    asked. torch has MKL inside, and of that function only the inner name can be found from outside."""
    import torch

    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if not library.is_file():
        return None
    get = getattr(ctypes.CDLL(str(library)), "mkl_serv_cbwr_get", None)
    return None if get is None else int(get(BRANCH))


def blas() -> str:
    """torch's library for products of matrices, with its version if torch tells it."""
    import torch

    built = torch.__config__.show()
    name = re.search(r"BLAS_INFO=(\w+)", built)
    version = re.search(r"Math Kernel Library Version (\d[\w.]*)", built)
    return " ".join(part[1] for part in (name, version) if part is not None) or "unknown"
