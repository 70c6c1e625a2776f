"""What a result was computed with: packages, machine, threads. Imports none of the packages it names."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service import machine
from whichopt.service.catalog import optimizers

PACKAGES = ("whichopt", "torch", "numpy", "scipy", "optuna", "scikit-learn")
"""Those whose version may move a bit of a result, or a configuration that is asked for; beside them are those
that the catalog's optimizers come from, if they are installed under the name that they are imported by."""


class Environment(BaseModel):
    """Where a trial was trained. `device` and `threads` are what the process that trained it used."""

    model_config = ConfigDict(frozen=True)

    python: str
    packages: dict[str, str] = Field(description="versions of those that are installed")
    os: str
    machine: str = Field(description="the instruction set, as in x86_64")
    cpu: str
    cores: int = Field(description="that the process may use")
    threads: int | None = Field(description="torch's, of one training process")
    device: str = Field(description="cpu, or the GPU's name")
    blas: str | None = Field(
        default=None, description="torch's library for products of matrices, with its version"
    )
    instructions: str | None = Field(
        default=None, description="the instruction set that torch's own kernels use, as in AVX2"
    )
    mkl_cbwr: str | None = Field(
        default=None,
        description="MKL's reproducible mode as it was asked for, off without one; null in reports of "
        "versions that did not record it: their mode is unknown",
    )

    def unlike(self, other: Environment) -> list[str]:
        """Where the two differ in what may move the bits of a result, in words."""
        mine, theirs = self._facts(), other._facts()
        return [
            f"{name}: {mine.get(name, 'none')} there, {theirs.get(name, 'none')} here"
            for name in dict.fromkeys((*mine, *theirs))
            if mine.get(name) != theirs.get(name)
        ]

    def _facts(self) -> dict[str, str]:
        """Number of cores aside: each process trains alone, with `threads` of its own."""
        threads = {} if self.threads is None else {"threads": str(self.threads)}
        kept = {name: getattr(self, name) for name in ("python", "os", "machine", "cpu", "device")}
        kernels = {name: getattr(self, name) or "unknown" for name in ("blas", "instructions", "mkl_cbwr")}
        return {**self.packages, **kept, **kernels, **threads}


def here(
    *,
    device: str = "cpu",
    threads: int | None = None,
    blas: str | None = None,
    instructions: str | None = None,
    mkl_cbwr: str | None = None,
) -> Environment:
    """This process's environment; what torch would have to be asked for is given."""
    return Environment(
        python=platform.python_version(),
        packages={name: found for name in _packages() if (found := _version(name)) is not None},
        os=platform.platform(),
        machine=platform.machine(),
        cpu=_cpu(),
        cores=machine.cores(),
        threads=threads,
        device=device,
        blas=blas,
        instructions=instructions,
        mkl_cbwr=mkl_cbwr,
    )


def _packages() -> list[str]:
    of_optimizers = (entry.build.target.partition(".")[0] for entry in optimizers.OPTIMIZERS)
    return list(dict.fromkeys((*PACKAGES, *of_optimizers)))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _cpu() -> str:
    """The processor's name as its maker spells it, where the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
