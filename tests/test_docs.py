"""What README and docs show is run, leads somewhere, and leaves nothing out."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import json
import re
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from rich.console import Console
from typer.testing import CliRunner

from docs.docstrings_text import markdown
from docs.generate import REFERENCE, pages
from whichopt.service import errors
from whichopt.service.catalog.built_in import Catalog, built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.cli import app, dataset_tables
from whichopt.service.client import Client
from whichopt.service.lint import lint
from whichopt.service.lint.data import SEVERITIES
from whichopt.service.secret_files import SECRETS
from whichopt.service.setting_words import OTHERS, variable
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.spec.budget import Budget
from whichopt.service.states import DatasetState
from whichopt.service.uploads import Choices, File, Table
from whichopt.service.views import DatasetView
from whichopt.service.views.datasets import DatasetProgress
from whichopt.workers.guests.findings import Warned
from whichopt.workers.intake.plain import take_text
from whichopt.workers.intake.taken import take

ROOT = Path(__file__).parent.parent
TEXTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
OWN_DATA = ROOT / "docs" / "own-data.md"
OWN_TEXT = ROOT / "docs" / "own-text.md"
NEEDS_A_SERVICE = "<!-- needs a service -->"
FENCE = re.compile(
    rf"(?P<mark>{NEEDS_A_SERVICE}\n)?(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)\n *```", re.DOTALL
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_text = pytest.mark.parametrize("path", TEXTS, ids=name_of)


def fences(path: Path, language: str) -> Iterator[tuple[str, bool]]:
    """Every block of that language, and whether it needs a service."""
    for found in FENCE.finditer(path.read_text()):
        if found["language"] == language:
            indent = found["indent"]
            lines = [line.removeprefix(indent) for line in found["text"].split("\n")]
            yield "\n".join(lines), found["mark"] is not None


def anchors(path: Path) -> set[str]:
    """The headings of a page as links name them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# -- what is shown runs --------------------------------------------------------------------------------


def with_python() -> list[Path]:
    return [path for path in TEXTS if any(fences(path, "python"))]


@pytest.mark.parametrize("path", with_python(), ids=name_of)
def test_python_runs(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # what is written is not left in the checkout
    names: dict[str, Any] = {"__name__": "shown"}
    for code, needs_a_service in fences(path, "python"):
        compiled = compile(code, name_of(path), "exec")
        if needs_a_service:
            imports = [line for line in code.splitlines() if line.startswith(("import ", "from "))]
            compiled = compile("\n".join(imports), name_of(path), "exec")
        exec(compiled, names)
    if path.name == "architecture.md":
        assert "seeds" in capsys.readouterr().out


def test_the_figures_beside_the_code_are_right() -> None:
    names: dict[str, Any] = {}
    training, settings = (code for code, _ in fences(ROOT / "docs/adabelief/use.md", "python"))
    exec(training, names)
    exec(settings, names)
    shown = re.findall(r"^(translate\..*?)  # ([-\de.]+)", settings, flags=re.MULTILINE)
    assert len(shown) == 3
    for call, figure in shown:
        # The figures are given to two digits.
        assert eval(call, names) == pytest.approx(float(figure), rel=0.02), call


@every_text
def test_jobs_are_jobs(path: Path) -> None:
    shown = [code for code, _ in fences(path, "json")]
    shown += re.findall(r"<<'JSON'\n(.*?)\nJSON", path.read_text(), flags=re.DOTALL)
    for text in shown:
        resolve(JobSpec.model_validate(json.loads(text)), with_own_data())


@cache
def own_table() -> Table:
    """The table of the page about people's own data, as its code writes it and the reader takes it in."""
    code, _ = next(fences(OWN_DATA, "python"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(compile(code, name_of(OWN_DATA), "exec"), {})
        return take(Path("tumors.csv"), "csv", Choices(target="tumor")).remarked()


@cache
def own_text() -> Table:
    """What the reader finds in the text that the page makes."""
    code, _ = next(fences(OWN_TEXT, "python"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(compile(code, name_of(OWN_TEXT), "exec"), {})
        return take_text(Path("help.txt"), Choices(task="language")).remarked()


@cache
def with_own_data() -> Catalog:
    file = File(name="tumors.csv", bytes=48_082, sha256="f" * 64)
    known = built_in()
    entry = uploaded("tumors", own_table(), file, "f" * 64)
    text = File(name="help.txt", bytes=120_317, sha256="e" * 64)
    help_ = uploaded("help", own_text(), text, "e" * 64)
    return dataclasses.replace(known, datasets=(*known.datasets, entry, help_))


def test_the_table_of_ones_own_data_is_what_the_command_prints() -> None:
    """But for what is left out, where an ellipsis stands."""
    view = DatasetView(
        name="tumors",
        state=DatasetState.READY,
        progress=DatasetProgress(bytes=48_082),
        file=File(name="tumors.csv", bytes=48_082, sha256="f" * 64),
        choices=Choices(target="tumor"),
        table=own_table(),
        created_at=datetime.now(UTC),
    )
    console = Console(width=250, file=io.StringIO())
    console.print(dataset_tables.dataset_summary(view))
    assert isinstance(console.file, io.StringIO)
    printed = " ".join(console.file.getvalue().split())
    shown = next(text for text, _ in fences(OWN_DATA, "text"))
    assert len(shown.splitlines()) > 20
    for line in shown.splitlines():
        assert " ".join(line.removesuffix("...").split()) in printed


def test_the_jobs_on_ones_own_data_are_not_blamed() -> None:
    text = OWN_DATA.read_text()
    jobs = [*re.findall(r"<<'JSON'\n(.*?)\nJSON", text, flags=re.DOTALL), *dict(fences(OWN_DATA, "json"))]
    assert len(jobs) == 2
    for job in jobs:
        found = lint(resolve(JobSpec.model_validate(json.loads(job)), with_own_data()))
        assert [one.code for one in found] == ["left_out"]


def test_the_job_of_the_readme_has_a_label_of_its_own() -> None:
    (text,) = re.findall(r"<<'JSON'\n(.*?)\nJSON", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert resolve(JobSpec.model_validate(json.loads(text))).labels == ("adabelief", "adamw", "sgd-narrow")


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


@every_text
def test_shown_commands_exist(path: Path) -> None:
    shell = "\n".join(code for code, _ in fences(path, "sh"))
    inline = re.findall(r"`whichopt ([a-z]+)", path.read_text())
    shown = {*re.findall(r"^whichopt (\w+)", shell, flags=re.MULTILINE), *inline}
    assert shown <= commands().keys()
    targets = set(re.findall(r"^make ([\w-]+)", shell, flags=re.MULTILINE))
    targets |= set(re.findall(r"`make ([\w-]+)", path.read_text()))
    assert targets <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@every_text
def test_shown_modules_exist(path: Path) -> None:
    for module in set(re.findall(r"python -m ((?:whichopt|benchmarks|docs|tests)[\w.]*)", path.read_text())):
        at = ROOT / module.replace(".", "/")
        assert at.with_suffix(".py").exists() or (at / "__main__.py").exists(), module


@every_text
def test_files_that_are_named_are_there(path: Path) -> None:
    folders = r"(?:adabelief|service|workers|migrations|tests|benchmarks|docs)/[\w./-]*"
    for named in re.findall(rf"`({folders})`", path.read_text()):
        if not named.startswith("benchmarks/results/"):  # is written by the command
            assert (ROOT / named).exists(), named


# -- links ---------------------------------------------------------------------------------------------


@every_text
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"\w+://", target):
            continue
        file, _, anchor = target.partition("#")
        at = path if not file else (path.parent / file).resolve()
        assert at.exists(), target
        if anchor and at.name != "python.md":
            assert anchor in anchors(at), target


def test_the_menu_has_every_page() -> None:
    menu = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE))
    assert menu == {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}


# -- nothing is left out -------------------------------------------------------------------------------


@cache
def places(page: str) -> frozenset[str]:
    """What a page has a heading or the first cell of a row for, without marks."""
    text = (ROOT / "docs" / page).read_text()
    cells = re.findall(r"^\| ([^|]+?) \|", text, flags=re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return frozenset(name.strip("`") for each in (*cells, *titles) for name in each.split(", "))


def error_codes() -> set[str]:
    kinds = [errors.WhichoptError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return {kind.code for kind in kinds if kind.__module__ == errors.__name__}


def codes(*folders: str) -> set[str]:
    """The codes that the modules there give: `code=...`, and the first argument of `finding(...)`."""
    found: set[str] = set()
    for path in (path for folder in folders for path in sorted((ROOT / folder).glob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            if isinstance(node.func, ast.Attribute) and node.func.attr == "finding":
                values.append(node.args[0])
            constants = (
                (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,) for value in values
            )
            found |= {
                one.value
                for group in constants
                for one in group
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            }
    return found


def table(title: str) -> set[str]:
    """The first cells of the table below a heading of `codes.md`."""
    text = (ROOT / "docs" / "codes.md").read_text()
    part = text.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE))


def test_every_error_code_has_its_row() -> None:
    assert table("Errors of the API") == error_codes()


def test_every_cause_of_a_failed_job_has_its_row() -> None:
    given = codes("service/db", "workers")
    assert {"worker_lost", "planning_failed"} <= given
    assert table("Causes of a failed job") == {*given, errors.BudgetTooShort.code, errors.UnreadableRow.code}


def test_every_warning_code_has_its_row() -> None:
    given = codes("service/evidence/verdict")
    assert len(given) > 10
    assert table("Warnings") == given


def test_every_finding_of_a_rehearsal_has_its_row() -> None:
    assert table("What a rehearsal finds") == set(get_args(Warned))


def test_every_lint_code_has_its_row() -> None:
    given = codes("service/lint") | set(SEVERITIES)  # the remarks of who read the data
    assert len(given) > 30
    assert table("Lint findings") == {*given, "unequal_spaces"}  # which lint takes from the warnings


def test_every_setting_has_its_row() -> None:
    names = {variable(field, info) for field, info in Settings.model_fields.items()} | set(OTHERS)
    names |= {f"WHICHOPT_{field.upper()}_FILE" for field in SECRETS}
    assert names <= places("deploy.md")


def test_every_command_has_its_heading() -> None:
    assert set(commands()) <= places("reference/commands.md")
    for name in commands():
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0, name


def test_every_catalog_entry_has_its_place() -> None:
    known = built_in()
    names = {
        one.name
        for entries in (known.optimizers, known.datasets, known.models, known.tasks)
        for one in entries
    }
    assert names <= places("reference/catalog.md")
    job = next(
        line for line in (ROOT / "docs/jobs.md").read_text().splitlines() if line.startswith("| `workload`")
    )
    assert {one.name for entries in (known.datasets, known.models) for one in entries} <= set(
        re.findall(r"`(\w+)`", job)
    )


def test_every_key_of_a_job_has_its_row() -> None:
    assert set(JobSpec.model_fields) - {"name"} <= places("jobs.md")


def test_the_defaults_that_are_stated_are_the_defaults() -> None:
    text, budget = (ROOT / "docs" / "jobs.md").read_text(), Budget()
    stated = dict(
        re.findall(r"^\| `(\w+)` \| (\w+) \|", text.split("\n## The budget\n")[1], flags=re.MULTILINE)
    )
    assert set(stated) == set(Budget.model_fields) - {"settled"}
    for key, value in stated.items():
        default = getattr(budget, key)
        assert value == ("none" if default is None else str(default)), key


# -- what follows from the code ------------------------------------------------------------------------


def test_the_reference_is_that_of_the_code() -> None:
    for name, text in pages().items():
        assert (REFERENCE / name).read_text() == text, f"{name}: if the change is meant, make reference"


def test_the_reference_has_every_method_of_the_client() -> None:
    shown = set(re.findall(r"^ +- (\w+)$", (REFERENCE / "python.md").read_text(), flags=re.MULTILINE))
    assert shown == {name for name in dir(Client) if not name.startswith("_")}


def test_examples_of_docstrings_get_the_heading_that_mkdocstrings_knows() -> None:
    assert markdown("The sum.\n\nExample:\n    >>> 1 + 1\n    2") == (
        "The sum.\n\nExamples:\n    >>> 1 + 1\n    2"
    )


def test_formulas_of_docstrings_become_code() -> None:
    text = "The mean.\n\n.. math::\n    m_t &= 1 \\\\\n    s_t &= 2\n\nWith :math:`\\epsilon`\nand more.\n"
    assert markdown(text) == (
        "The mean.\n\n```latex\nm_t &= 1 \\\\\ns_t &= 2\n```\n\nWith `\\epsilon`\nand more."
    )


# -- sizes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "most"), [("README.md", 160), ("CONTRIBUTING.md", 60)])
def test_a_stranger_can_read_it_through(name: str, most: int) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= most


def test_the_changelog_begins_with_the_version_of_the_tree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert versions[0] == project["version"]
    assert project["version"] == version("whichopt"), "run make: what is installed is another version's"
