"""The update as one kernel, by torch's own compiler, from the lines of ``functional``.

On CPUs the kernel is compiled ahead of time and kept in a folder, so that the compiler runs once on a
machine and later processes neither wait for it nor import it. Elsewhere ``torch.compile`` does it, whose
caches spare the compiling but not the import. The coefficients come in as one tensor, so no schedule of any
hyperparameter compiles again.
"""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import adabelief.functional as functional
from adabelief.functional import Coefficients, apply_
from adabelief.steps import cache

__all__ = ["Kernel", "is_kept", "kernel"]

Kernel = Callable[[list[Tensor]], object]
"""The update of vectors: theta, g, m, s, s_max where there is one, and the coefficients as one tensor."""


class _Update(torch.nn.Module):
    """The update of flat tensors in the form that torch.export and torch.compile take."""

    def __init__(self, amsgrad: bool) -> None:
        super().__init__()
        self.amsgrad = amsgrad

    def forward(self, tensors: list[Tensor]) -> None:
        theta, g, m, s, *s_max, column = tensors
        # In the dtype of m: half precision is computed in float32 and rounded once, when it is copied back.
        wide = theta.to(m.dtype)
        largest = s_max[0] if self.amsgrad else None
        apply_(wide, g.to(m.dtype), m, s, largest, Coefficients(*column.unbind()))
        theta.copy_(wide)


def is_kept(dtype: torch.dtype, moment_dtype: torch.dtype, device: torch.device, amsgrad: bool) -> bool:
    """Whether ``kernel``, asked for the same, finds one on this machine and has nothing to compile."""
    if os.environ.get("ADABELIEF_COMPILE") == "0" or device.type != "cpu":
        return False
    return cache.find(_name(_example(dtype, moment_dtype, device, amsgrad))) is not None


@functools.cache
def kernel(
    dtype: torch.dtype, moment_dtype: torch.dtype, device: torch.device, amsgrad: bool
) -> Kernel | None:
    """The compiled update for tensors of these dtypes on this device.

    Compiled at the first call, which takes some ten to twenty seconds where the cache does not have it.

    Args:
        dtype: of theta and of g.
        moment_dtype: of m, s, s_max and of the coefficients.
        device: of all of them.
        amsgrad: whether there is an s_max.

    Returns:
        A function of the list of vectors: theta, g, m, s, s_max where there is one, coefficients. None where
        ``ADABELIEF_COMPILE`` is 0 in the environment, where tensors have no values (meta) and, after a
        warning, where no compiler works.
    """
    if os.environ.get("ADABELIEF_COMPILE") == "0" or device.type == "meta":
        return None
    example = _example(dtype, moment_dtype, device, amsgrad)
    try:
        return _ahead_of_time(example) if device.type == "cpu" else _just_in_time(example)
    except (RuntimeError, OSError, ImportError, subprocess.SubprocessError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        cause = " ".join([type(error).__name__, *lines[:3]])  # the first line alone may name no cause
        warnings.warn(
            f"fused=True: no compiler that works for {device.type} ({cause}), so torch's own kernels are "
            "used where they can be, which is slower. A C++ compiler (g++, or what CXX names) and a cache "
            "folder that can be written (XDG_CACHE_HOME), by this user alone, are needed; or say "
            "foreach=True, or set ADABELIEF_COMPILE=0",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def _example(
    dtype: torch.dtype, moment_dtype: torch.dtype, device: torch.device, amsgrad: bool
) -> list[Tensor]:
    example = [torch.zeros(8, dtype=dtype, device=device) for _ in range(2)]
    example += [torch.ones(8, dtype=moment_dtype, device=device) for _ in range(3 if amsgrad else 2)]
    return [*example, torch.ones(len(Coefficients._fields), dtype=moment_dtype, device=device)]


def _just_in_time(example: list[Tensor]) -> Kernel:
    cache.name_compilers_folder()
    compiled = torch.compile(_Update(amsgrad=len(example) == 6), dynamic=True, fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own, on its insides
        compiled(example)
    return compiled


def _ahead_of_time(example: list[Tensor]) -> Kernel:
    path = cache.find(_name(example)) or _compiled(example)
    # What torch._inductor.aoti_load_package does, without the two seconds that importing the compiler takes.
    loader = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)
    run: Kernel = loader.run
    return run


def _compiled(example: list[Tensor]) -> Path:
    place = cache.made()
    cache.name_compilers_folder()
    # To a file of its own first: of processes that compile at once, none sees half of another's.
    with tempfile.TemporaryDirectory(dir=place) as folder:
        draft = Path(folder) / _name(example)
        _compile(example, draft)
        return draft.replace(place / draft.name)


def obstacle() -> str | None:
    """Return why no kernel can be compiled for this machine's CPU; None if nothing seems in the way."""
    if os.environ.get("ADABELIEF_COMPILE") == "0":
        return "ADABELIEF_COMPILE is 0"
    try:
        _find_compiler()
        cache.folder()
    except OSError as error:
        return str(error)
    return None


def _find_compiler() -> None:
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise OSError(f"no {compiler} found")


def _compile(example: list[Tensor], path: Path) -> None:
    _find_compiler()
    size = torch.export.Dim("size", min=2)
    shapes = [*({0: size} for _ in example[:-1]), None]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the compiler's own, on its insides
        program = torch.export.export(
            _Update(amsgrad=len(example) == 6), (example,), dynamic_shapes=(shapes,), strict=False
        )
        settings = {
            "cpp.dynamic_threads": True,  # as many as the process that loads it has
            "aot_inductor.precompile_headers": False,  # which pays from the second kernel on
        }
        import torch._inductor as inductor

        try:
            # Trust the flags that the CPU reports; trying each instruction set doubles the time.
            inductor.aoti_compile_and_package(
                program, package_path=str(path), inductor_configs={**settings, "cpp.vec_isa_ok": True}
            )
        except RuntimeError:  # a compiler that is older than the CPU
            inductor.aoti_compile_and_package(program, package_path=str(path), inductor_configs=settings)


def _name(example: list[Tensor]) -> str:
    """A file's: by what compiled code depends on, which is source, torch, machine, compiler and dtypes."""
    try:
        cpu = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next(line for line in cpu if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        flags = platform.processor()
    facts = [
        Path(functional.__file__).read_text(),
        Path(__file__).read_text(),
        torch.__version__,
        platform.platform(),
        torch.backends.cpu.get_cpu_capability(),
        flags,
        os.environ.get("CXX", ""),
        *(str(x.dtype) for x in example),
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32] + ".pt2"
