"""What a plug-in's package imports, and what the docs show of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.builders.plugins import EXAMPLE

ROOT = Path(__file__).parents[2]


def test_a_package_can_say_what_it_offers_without_torch() -> None:
    """A service may have it installed, too."""
    script = (
        "import sys, whichopt.extend as e;"
        "print([getattr(e, name).__name__ for name in e.__all__], 'torch' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    names = ["Categorical", "Dataset", "Float", "Int", "Model", "Optimizer", "Shape"]
    assert found.stdout.strip() == f"{names} False"


def test_the_docs_show_the_package_that_is_tested() -> None:
    page = (ROOT / "docs" / "extend" / "plugins.md").read_text()
    for name in ("pyproject.toml", "ourlab_plugins.py"):
        assert (EXAMPLE / name).read_text() in page


def test_the_package_is_short() -> None:
    lines = (EXAMPLE / "ourlab_plugins.py").read_text().splitlines()
    code = [
        line for line in lines if line.strip() and not line.startswith(("import", "from", "def", "class"))
    ]
    assert len(code) <= 10
