"""`python -m whichopt.workers.fit report.json`: trains a reported config once more, and saves the network."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from whichopt.service.errors import WhichoptError
from whichopt.service.evidence.report.files import read_report
from whichopt.service.exit_codes import CANNOT, INTERRUPTED, NO
from whichopt.service.streams import prepare_output, quiet_pipe
from whichopt.workers.fit import CannotFit, Fitted, fit

STEP = 0.1
"""Share of the training after which a line is written, if no terminal shows a line that changes."""

CLEARED = "\r\x1b[K"
"""What takes a terminal to the start of its line, and clears it."""


class Progress:
    """Shows on stderr how far the training is."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._next = STEP
        self._live = sys.stderr.isatty()

    def at(self, examples: int, length: int, value: float | None) -> None:
        """Show that so many of `length` examples have been seen."""
        if not self._live and examples < self._next * length:
            return
        self._next = examples / length + STEP
        told = "" if value is None else f", {self._metric} {value:.4g}"
        line = f"{examples / length:4.0%} of the training{told}"
        ends = "" if self._live and examples < length else "\n"
        sys.stderr.write(f"{CLEARED if self._live else ''}{line}{ends}")
        sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 1 if the score is further from the report's than it may be."""
    parser = argparse.ArgumentParser(
        prog="python -m whichopt.workers.fit", description="Train a reported config, and save the network."
    )
    parser.add_argument("file", type=Path, help="a report: its JSON or its page")
    parser.add_argument("--out", type=Path, required=True, help="the folder to save in")
    parser.add_argument("--data", type=Path, help="the file that was sent, if it is about own data")
    parser.add_argument("--config", help="the label of another finalist than the recommended one")
    parser.add_argument("--seed", type=int, help="the number of the fresh seeds")
    parser.add_argument("--rows", choices=("train", "all"), default="train")
    parser.add_argument("--force", action="store_true", help="replace a fitted network in the folder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    prepare_output()
    with quiet_pipe():
        return _main(options)


def _main(options: argparse.Namespace) -> int:
    try:
        report = read_report(options.file)
        rows = "all of them" if options.rows == "all" else "validation"
        fitted = fit(
            report,
            options.out,
            data=options.data,
            config=options.config,
            seed=options.seed,
            rows=options.rows,
            force=options.force,
            progress=Progress(f"{report.spec.goal.metric} on {rows}").at,
        )
    except WhichoptError as error:
        sys.stderr.write(f"whichopt: {error.detail}\n")
        return CANNOT
    except KeyboardInterrupt:
        sys.stderr.write("whichopt: stopped; nothing was saved\n")
        return INTERRUPTED
    except CannotFit as error:
        sys.stderr.write(f"whichopt: {error}\n")
        return CANNOT
    except OSError as error:
        sys.stderr.write(f"whichopt: cannot save in {options.out}: {error.strerror or error}\n")
        return CANNOT
    sys.stdout.write(f"{fitted.model_dump_json(indent=2)}\n" if options.json else _lines(fitted))
    return NO if fitted.agreement == "differs" else 0


def _lines(fitted: Fitted) -> str:
    settings = " ".join(f"{name}={value!r}" for name, value in fitted.config.items())
    lines = [f"{fitted.optimizer} {settings}", fitted.statement]
    if fitted.other_facts:
        lines.append(f"This version says otherwise of {fitted.optimizer}: {', '.join(fitted.other_facts)}.")
    if fitted.unlike and fitted.agreement not in (None, "same bits"):
        lines.append("This is not the machine that trained the report:")
        lines += [f"  {difference}" for difference in fitted.unlike]
    rows = "IMAGES" if fitted.of_images else "ROWS.csv"
    lines += [f"Saved in {fitted.folder}. Predict with: python {fitted.folder / 'predict.py'} {rows} OUT.csv"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
