"""Training on this machine's GPU, checked in five minutes: bits that repeat, agreement, memory, crashes.

    python -m benchmarks.gpu_check [--device cpu] [--only NAME ...] [--out FOLDER]

Each check is a process of its own, which is ended when its time is over. The results are a table on the
terminal and, for a GPU or with --out, gpu_check.json and gpu_check.md. The exit status is 1 if a check fails.
On a CPU, the checks that say nothing there are skipped.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"

ALL_S = 280.0
"""How long all checks may take together: what is left of it bounds a check beside its own limit."""

SLOWER = {"cuda": 1.0, "cpu": 6.0}
"""Times those limits, by device: the limits are for a machine that has a GPU, and little else to do."""


@dataclass(frozen=True)
class Outcome:
    """`state` is passed, failed, or skipped."""

    check: str
    state: str
    seconds: float
    detail: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", action="append", help="a check's name; may be given again")
    parser.add_argument("--out", type=Path, help="where the results are written")
    parser.add_argument(
        "--result", type=Path, help=argparse.SUPPRESS
    )  # of the one check that this process is
    options = parser.parse_args()

    from benchmarks.gpu_check.checks import CHECKS

    unknown = set(options.only or ()) - set(CHECKS)
    if unknown:
        parser.error(f"no check {', '.join(sorted(unknown))}; there are: {', '.join(CHECKS)}")
    if options.result is not None:
        options.result.write_text(json.dumps(_checked(options.only[0], options.device)))
        return 0
    names = options.only or list(CHECKS)
    machine = described(options.device)
    slower = SLOWER[options.device]
    deadline = time.monotonic() + ALL_S * slower
    outcomes = []
    for name in names:
        limit_s = min(CHECKS[name].limit_s * slower, deadline - time.monotonic())
        outcomes.append(_outcome(name, options.device, limit_s))
        print(
            f"{outcomes[-1].state:8} {outcomes[-1].seconds:6.1f} s  {name}: {outcomes[-1].detail}", flush=True
        )
    folder = options.out or (RESULTS if options.device == "cuda" else None)
    if folder is not None:
        write(folder, machine, outcomes)
    return int(any(outcome.state == "failed" for outcome in outcomes))


def described(device: str) -> dict[str, str]:
    """When and on what the checks run."""
    import torch

    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": platform.processor() or platform.machine(),
        "driver": "none",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
    }
    if device == "cuda":
        import pynvml

        if not torch.cuda.is_available():
            sys.exit("torch sees no GPU here; --device cpu runs what makes sense without one")
        properties = torch.cuda.get_device_properties(0)
        pynvml.nvmlInit()
        facts |= {
            "device": f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, "
            f"compute capability {properties.major}.{properties.minor}",
            "driver": str(pynvml.nvmlSystemGetDriverVersion()),
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        }
    return facts


def _outcome(name: str, device: str, limit_s: float) -> Outcome:
    """Runs the check in a process of its own, which is ended with all that it has started."""
    started = time.monotonic()
    if limit_s <= 0:
        return Outcome(name, "failed", 0.0, "not begun: the time for all checks is over")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        command = ["-m", "benchmarks.gpu_check", f"--only={name}", f"--device={device}", f"--result={file}"]
        process = subprocess.Popen([sys.executable, *command], start_new_session=True)
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):  # all of it has ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if status is None:
            fields = {"state": "failed", "detail": f"took over {limit_s:.0f} s"}
        elif status != 0 or not file.exists():
            fields = {"state": "failed", "detail": f"its process ended with status {status}"}
        else:
            fields = json.loads(file.read_text())
    return Outcome(check=name, seconds=time.monotonic() - started, **fields)


def _checked(name: str, device: str) -> dict[str, str]:
    """What the check says, run here."""
    import torch

    from benchmarks.gpu_check.checks import CHECKS
    from benchmarks.gpu_check.failures import Failed, NeedsGPU
    from whichopt.workers.engine import numerics

    torch.set_num_threads(1)
    numerics.repeat_to_the_bit()
    try:
        return {"state": "passed", "detail": CHECKS[name].run(device)}
    except NeedsGPU:
        return {"state": "skipped", "detail": "needs a GPU"}
    except Failed as failure:
        return {"state": "failed", "detail": str(failure)}
    except Exception as error:  # noqa: BLE001  whatever it is, it is what the check has shown
        traceback.print_exc()
        return {"state": "failed", "detail": f"{type(error).__name__}: {str(error)[:300]}"}


def write(folder: Path, machine: dict[str, str], outcomes: list[Outcome]) -> None:
    """Writes gpu_check.json and gpu_check.md."""
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {"machine": machine, "checks": [asdict(outcome) for outcome in outcomes]}
    (folder / "gpu_check.json").write_text(json.dumps(document, indent=1) + "\n")
    lines = ["# Training on a GPU, checked", "", "`python -m benchmarks.gpu_check`", ""]
    lines += ["| machine | |", "|---|---|", *(f"| {name} | {fact} |" for name, fact in machine.items()), ""]
    lines += ["| check | | s | what was seen |", "|---|---|---|---|"]
    for outcome in outcomes:
        detail = " ".join(outcome.detail.split()).replace("|", "\\|")
        lines.append(f"| {outcome.check} | {outcome.state} | {outcome.seconds:.1f} | {detail} |")
    (folder / "gpu_check.md").write_text("\n".join(lines) + "\n")
    print(f"written: {folder / 'gpu_check.md'}")


if __name__ == "__main__":
    sys.exit(main())
