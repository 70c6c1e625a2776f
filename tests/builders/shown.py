"""What the pages of the docs show: their blocks of code, and the data that these make."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from whichopt.service.catalog.built_in import Catalog, built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.uploads import Choices, File, Table
from whichopt.workers.intake.plain import take_text
from whichopt.workers.intake.taken import take

ROOT = Path(__file__).parent.parent.parent
OWN_DATA = ROOT / "docs" / "own-data.md"
NEEDS_A_SERVICE = "<!-- needs a service -->"
FENCE = re.compile(
    rf"(?P<mark>{NEEDS_A_SERVICE}\n)?(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)\n *```", re.DOTALL
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fences(path: Path, language: str) -> Iterator[tuple[str, bool]]:
    """Every block of that language, and whether it needs a service."""
    for found in FENCE.finditer(path.read_text()):
        if found["language"] == language:
            indent = found["indent"]
            lines = [line.removeprefix(indent) for line in found["text"].split("\n")]
            yield "\n".join(lines), found["mark"] is not None


@dataclasses.dataclass(frozen=True, eq=False)
class Shown:
    """A page that makes a dataset by its first code, and shows what the command prints of it."""

    page: Path
    file: str
    form: str
    bytes: int
    choices: Choices

    @property
    def sent(self) -> File:
        return File(name=self.file, bytes=self.bytes, sha256="f" * 64)


TUMORS = Shown(OWN_DATA, "tumors.csv", "csv", 48_082, Choices(target="tumor"))
PATCHES = Shown(ROOT / "docs" / "own-images.md", "patches.zip", "zip", 707_807, Choices())
HELP = Shown(ROOT / "docs" / "own-text.md", "help.txt", "plain", 120_000, Choices(task="language"))


@cache
def own_table(shown: Shown) -> Table:
    """The table of a page about people's own data, as its code writes it and the reader takes it in."""
    code, _ = next(fences(shown.page, "python"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(compile(code, name_of(shown.page), "exec"), {})
        if shown.form == "plain":
            return take_text(Path(shown.file), shown.choices).remarked()
        return take(Path(shown.file), shown.form, shown.choices).remarked()


@cache
def with_own_data() -> Catalog:
    known = built_in()
    """The catalog with the data that pages about people's own data make."""
    shown = (TUMORS, PATCHES, HELP)
    own = [uploaded(Path(one.file).stem, own_table(one), one.sent, "f" * 64) for one in shown]
    return dataclasses.replace(known, datasets=(*known.datasets, *own))
