"""Reads the file of a request, and says in lines of JSON how far it is and what it found.

    python -m whichopt.workers.intake REQUEST.json

The request has `file`, `format`, `choices`, `limits` and `folder`. The last line is either
`{"table": ..., "content": SHA-256, "file": name in the folder}` or `{"problem": {...}}`. If there is neither,
the process was ended.
"""

from __future__ import annotations

import errno
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

ROOM = 1 << 22
"""Bytes of the result for the table in words."""

SWITCH_S = 0.0005
"""Seconds until a thread that runs Python lets another one: those that parse need it often, and for short."""


def main(request: Path) -> int:
    """Answer the request; return the exit status."""
    asked = json.loads(request.read_text(encoding="utf-8"))
    sys.meta_path.insert(0, _WithoutPandas())
    from whichopt.workers.intake.limits import Limits
    from whichopt.workers.intake.problems import NO_MEMORY, Full, Problem, TooLarge

    limits = Limits(**asked["limits"])
    limits.hold()
    sys.setswitchinterval(SWITCH_S)
    try:
        answer = _answer(asked, limits)
    except Problem as problem:
        answer = {"problem": problem.as_json()}
    except MemoryError:  # Arrow's is one
        answer = {"problem": TooLarge(NO_MEMORY).as_json()}
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        answer = {
            "problem": Full("a disk of the service is full; free space on it, then send again").as_json()
        }
    _say(json.dumps(answer))
    return 0


class _WithoutPandas(MetaPathFinder):
    """Hides pandas: Arrow imports it if it is there, for nothing, and that takes longer than most files."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError("the reader goes without pandas", name=name)


def _answer(asked: dict[str, Any], limits: Any) -> dict[str, Any]:
    from whichopt.workers.intake.problems import TooLarge

    taken = _taken_text(asked, limits) if asked["format"] == "plain" else _taken(asked, limits)
    size = taken.kept.size
    if size + ROOM > limits.table_bytes:
        raise TooLarge(
            f"the columns that would be kept have {size:,} bytes; at most {limits.table_bytes:,} are "
            "allowed (WHICHOPT_MAX_TABLE_BYTES); send fewer rows or columns"
        )
    with ThreadPoolExecutor(1) as pool:
        keeping = pool.submit(taken.keep, Path(asked["folder"]))
        table = taken.remarked()
        path, content = keeping.result()
    return {"table": table.model_dump(mode="json"), "content": content, "file": path.name}


def _taken_text(asked: dict[str, Any], limits: Any) -> Any:
    from whichopt.service.uploads import Choices
    from whichopt.workers.intake.plain import take_text
    from whichopt.workers.intake.progress import Progress

    return take_text(Path(asked["file"]), Choices.model_validate(asked["choices"]), limits, Progress(_say))


def _taken(asked: dict[str, Any], limits: Any) -> Any:
    from whichopt.workers.intake.formats import read
    from whichopt.workers.intake.progress import Progress

    said = asked["choices"]
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(
            read,
            *(Path(asked["file"]), asked["format"], limits, Progress(_say)),
            header=said.get("header"),
            kinds=said.get("columns", {}),
            size=said.get("size"),
        )
        # Meanwhile, as this takes as long as a small file.
        from whichopt.service.uploads import Choices
        from whichopt.workers.intake.taken import take_read

        raw = reading.result()
    return take_read(raw, Choices.model_validate(said), limits)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
