"""`python -m whichopt.workers.tune train.py:fit`: tunes a training function that a name stands for."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whichopt.service.errors import InvalidSpec, WhichoptError
from whichopt.service.exit_codes import CANNOT, INTERRUPTED, NOTHING_TO_DEPLOY
from whichopt.service.json_input import loads
from whichopt.service.streams import prepare_output, quiet_pipe
from whichopt.workers.tune import tune


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m whichopt.workers.tune", description="Tune a training function on this machine."
    )
    parser.add_argument("train", help="train.py:fit, package.module:fit, or train.py")
    parser.add_argument("--argument", action="append", default=[], help="of the command line of a script")
    for name in ("minimize", "maximize", "optimizers", "options", "name", "version"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--minutes", type=float)
    for name, usual in (("trials", None), ("epochs", 20), ("replicates", 3), ("confirm-seeds", 10)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--today", type=Path, help="a JSON file with what is used today")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--data", type=Path, default=Path("whichopt-data"))
    for name in ("warn", "fresh", "json"):
        parser.add_argument(f"--{name}", action="store_true")
    asked = parser.parse_args(arguments)
    prepare_output()
    with quiet_pipe():
        return _main(asked)


def _main(asked: argparse.Namespace) -> int:
    try:
        found = tune(
            asked.train,
            minimize=asked.minimize,
            maximize=asked.maximize,
            optimizers=None if asked.optimizers is None else asked.optimizers.split(","),
            minutes=asked.minutes,
            trials=asked.trials,
            replicates=asked.replicates,
            epochs=asked.epochs,
            confirm_seeds=asked.confirm_seeds,
            today=_todays(asked.today),
            seed=asked.seed,
            options=None if asked.options is None else json.loads(asked.options),
            name=asked.name,
            version=asked.version,
            fresh=asked.fresh,
            processes=asked.processes,
            check="warn" if asked.warn else "error",
            arguments=asked.argument,
            report=asked.report,
            data=asked.data,
        )
    except json.JSONDecodeError as error:
        sys.stderr.write(f"whichopt: --options is no JSON ({error})\n")
        return CANNOT
    except WhichoptError as error:
        sys.stderr.write(f"whichopt: {error.detail}\n")
        return CANNOT
    except KeyboardInterrupt:  # which tune has told of
        return INTERRUPTED
    if asked.json:
        sys.stdout.write(found.recommendation.model_dump_json(indent=2) + "\n")
    else:
        sys.stdout.write(f"{found}\n")
    return 0 if found.config is not None else NOTHING_TO_DEPLOY


def _todays(path: Path | None) -> dict[str, Any] | None:
    """Return the config of today in a file; None without one."""
    if path is None:
        return None
    try:
        found = loads(path.read_bytes())
    except OSError as error:
        raise InvalidSpec(f"--today {path} cannot be read: {error.strerror}", field="today") from None
    except ValueError as error:
        raise InvalidSpec(f"--today {path} is no JSON: {error}", field="today") from None
    if not isinstance(found, dict):
        raise InvalidSpec(
            f'--today {path} must hold an object, as {{"name": "adamw", "config": {{"lr": 3e-4}}}}',
            field="today",
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
