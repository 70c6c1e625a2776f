"""A reader for tests: takes files of comma-separated numbers, and obeys a word in the first line.

Run as a program. It speaks as `whichopt.workers.intake` does, and needs no library.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text())
    text = Path(request["file"]).read_text()
    word, _, argument = text.partition("\n")[0].partition(" ")
    match word:
        case "slow":  # until somebody ends it
            say(progress={"rows": 7, "share": 0.5})
            time.sleep(float(argument or 60))
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            raise MemoryError
        case "broken":
            raise RuntimeError("broken")
        case "flood":
            while True:
                sys.stdout.write("x" * 65536)
        case "nonsense":
            sys.stdout.write("this is no JSON\n")
        case "elsewhere":
            say(table=table(9, request), content="0" * 64, file=argument)
            return
        case "wrong-hash":
            result(request, table(9, request), content="0" * 64)
            return
        case "contradiction":
            result(request, {**table(9, request), "target": "nowhere"})
            return
        case "environment":
            say(problem={"code": "unreadable_dataset", "detail": " ".join(sorted(os.environ))})
            return
        case "bad":
            say(problem={"code": "unreadable_dataset", "detail": "row 3 is bad", "row": 3, "column": "b"})
            return
    rows = len(text.splitlines()) - 1
    say(progress={"rows": rows, "share": 1.0})
    result(request, table(rows, request), data=text.encode())


def result(
    request: dict[str, Any], found: dict[str, Any], *, content: str | None = None, data: bytes = b"columns"
) -> None:
    (Path(request["folder"]) / "part-table").write_bytes(data)
    say(table=found, content=content or hashlib.sha256(data).hexdigest(), file="part-table")


def table(rows: int, request: dict[str, Any]) -> dict[str, Any]:
    test = validation = max(1, rows // 5)
    names = ("a", "b", request["choices"]["target"] or "y")
    roles = ("feature", "feature", "target")
    column = {"kind": "numeric", "missing": 0, "distinct": rows, "low": 0.0, "high": 1.0, "becomes": "itself"}
    return {
        "rows": rows,
        "columns": [
            {**column, "name": name, "role": role, "width": int(role == "feature")}
            for name, role in zip(names, roles, strict=True)
        ],
        "target": names[2],
        "task": "regression",
        "classes": None,
        "split": request["choices"]["split"],
        "shape": {"examples": rows, "features": 2, "outputs": 1, "image": None},
        "sizes": {"train": rows - test - validation, "validation": validation, "test": test},
        "notes": ["the reader of the tests"],
    }


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
