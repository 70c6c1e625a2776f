"""Run the optimizer's and the engine's tests by the kernels of other CPUs, as far as this one has them.

    python -m tests.kernel_legs [--only NAME=VALUE ...] [PYTEST OPTIONS]

Each leg sets one variable. It first shows that the variable changes a bit of a reference computation here. A
leg that changes none, or gives the bits of an earlier leg, would test nothing new: it is named and not run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

LEGS = (
    ("ATEN_CPU_CAPABILITY", "default"),
    ("ATEN_CPU_CAPABILITY", "avx2"),
    ("MKL_CBWR", "AUTO"),
    ("MKL_CBWR", "AVX2"),
    ("MKL_CBWR", "COMPATIBLE"),
)
FOLDERS = ("tests/adabelief", "tests/workers", "tests/service/translations")

REFERENCE = """
import hashlib, torch
torch.set_num_threads(1)
draw = torch.Generator().manual_seed(0)
sums = hashlib.sha256()
for rows, inner, columns in ((16, 13, 3), (18, 13, 3), (64, 64, 32), (100, 64, 10), (33, 257, 129)):
    for count in (2, 33):
        a = torch.randn(count, rows, inner, generator=draw)
        b = torch.randn(count, inner, columns, generator=draw)
        product = torch.bmm(a, b)
        entries = torch.addcmul(product, product, product, value=0.3)
        for result in (product, entries, product.exp(), product.abs().sqrt(), product.sum(1), product.tanh()):
            sums.update(result.contiguous().numpy().tobytes())
print(sums.hexdigest())
"""
"""Products, and functions of each entry: what the two variables choose kernels for."""


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with these variables and no other of the legs' set."""
    return {name: value for name, value in os.environ.items() if name not in dict(LEGS)} | variables


def reference(**variables: str) -> str:
    """The digest of the reference computation with these variables and no other of the legs' set."""
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE],
        env=environment(**variables),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kernel_legs", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME=VALUE", help="run this leg")
    chosen, options = parser.parse_known_args()
    bits, outcomes = {reference(): "no variable"}, []
    for name, value in LEGS:
        leg = f"{name}={value}"
        if chosen.only and leg not in chosen.only:
            continue
        like = bits.setdefault(reference(**{name: value}), leg)
        if like != leg:
            outcomes.append(f"{leg}: without effect on this CPU (the bits are those of {like}), not run")
            continue
        print(f"{leg} changes bits of the reference computation; running the tests", flush=True)
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", "-m", "not slow"]
        done = subprocess.run(
            [*command, *options, *FOLDERS], env=environment(**{name: value}), check=False
        ).returncode
        took = f"{time.monotonic() - started:.0f} s"
        outcomes.append(f"{leg}: {'passed' if done == 0 else f'FAILED (pytest ended with {done})'}, {took}")
    print(*outcomes, sep="\n")
    return int(any("FAILED" in outcome for outcome in outcomes) or not outcomes)


if __name__ == "__main__":
    sys.exit(main())
