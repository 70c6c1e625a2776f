"""Describes the environment of a result: packages, machine, threads. Imports none of those packages."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service import machine
from whichopt.service.catalog import optimizers

PACKAGES = ("whichopt", "torch", "numpy", "scipy", "optuna", "scikit-learn")
"""Packages whose version may change a bit of a result or a suggested config. The packages of the catalog's
optimizers are recorded, too, if they are installed under the name that they are imported by."""


class Environment(BaseModel):
    """The environment in which a trial was trained; `device` and `threads` are those of its process."""

    model_config = ConfigDict(frozen=True)

    python: str
    packages: dict[str, str] = Field(description="Versions of the packages that are installed.")
    os: str
    machine: str = Field(description="Instruction set of the CPU, such as x86_64.")
    cpu: str
    cores: int = Field(description="Number of cores that the process may use.")
    threads: int | None = Field(description="Number of torch's threads in one training process.")
    device: str = Field(description="Device: cpu, or the name of the GPU.")
    blas: str | None = Field(
        default=None, description="Library of torch for matrix products, with its version."
    )
    instructions: str | None = Field(
        default=None, description="Instruction set of torch's own kernels, such as AVX2."
    )
    mkl_cbwr: str | None = Field(
        default=None,
        description="Reproducible mode that was requested of MKL, `off` if none "
        "was; null in reports of versions "
        "that did not record it.",
    )

    def unlike(self, other: Environment) -> list[str]:
        """Describe what may change the bits of a result: this one is there, and the other one is here."""
        return [f"{name}: {mine} there, {theirs} here" for name, mine, theirs in self.differences(other)]

    def differences(self, other: Environment) -> list[tuple[str, str, str]]:
        """Return (name, this one's, the other's) of each fact that may change the bits of a result."""
        mine, theirs = self._facts(), other._facts()
        return [
            (name, mine.get(name, "none"), theirs.get(name, "none"))
            for name in dict.fromkeys((*mine, *theirs))
            if mine.get(name) != theirs.get(name)
        ]

    def _facts(self) -> dict[str, str]:
        """Number of cores aside: each process trains alone, with `threads` of its own."""
        threads = {} if self.threads is None else {"threads": str(self.threads)}
        fields = {name: getattr(self, name) for name in ("python", "os", "machine", "cpu", "device")}
        kernels = {name: getattr(self, name) or "unknown" for name in ("blas", "instructions", "mkl_cbwr")}
        return {**self.packages, **fields, **kernels, **threads}


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


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _cpu() -> str:
    """The processor's name as its maker spells it, if the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
