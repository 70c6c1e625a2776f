"""The V: optimizers and service know nobody, workers knows all, nobody knows workers; the name is whichopt.

Benchmarks and tests know them all; but they too have no cycles, no large files and no names that say nothing.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINKED = ("service", "workers", "migrations")
"""Folders at the top that `whichopt` holds by links."""
ALONE = ("adabelief", "adadagrad")
"""Packages that import torch and nothing else."""
FOLDERS = (*ALONE, *LINKED)
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
WRITTEN = [
    ROOT / "whichopt" / "__init__.py",
    *FILES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
]
TOP = {*ALONE, "whichopt", "tests", "benchmarks"}
"""Names that a folder of ours has at the top."""
ALLOWED = {
    "adabelief": {"adabelief"},
    "adadagrad": {"adadagrad"},
    "service": {"service"},
    "workers": {"workers", "service", *ALONE},
    "migrations": {"migrations", "service"},
}
HOMES = {
    "alembic": ("service/db/", "migrations/"),
    "sqlalchemy": ("service/db/", "migrations/", "service/reaper.py", "workers/lease.py", "workers/app.py"),
    "optuna": ("workers/sampler.py", "service/optuna_storage.py", "service/export.py"),
    "optuna_dashboard": ("service/optuna_storage.py",),
    "pynvml": ("workers/gpus.py",),
    "vl_convert": ("service/figures/",),
    "matplotlib": (),
    "celery": ("workers/app.py", "workers/celery_changes.py", "workers/jobs.py", "service/dispatch.py"),
}
FIRST_USE = {"scipy", "numpy", "vl_convert", "optuna", "optuna_dashboard", "celery"}
"""Libraries that `service` imports on first use, never at start."""


def module_of(path: Path) -> str:
    """Return the name by which the file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in LINKED:
        parts = ("whichopt", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}
HOUSE = {module_of(path): path for path in WRITTEN}
"""The modules of the packages, of the benchmarks and of the tests."""


def imports(path: Path, *, at_start: bool, types: bool = False) -> Iterator[str]:
    """Modules that the file imports; with `at_start` only at its top level, with `types` for types too."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (at_start and inner) or (typing_only and not types):
            skipped |= set(ast.walk(node)) - {node}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            for name in node.names:
                deeper = f"{node.module}.{name.name}"
                yield deeper if deeper in HOUSE else node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_import_rule_holds(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for name in imports(path, at_start=False):
        top, _, rest = name.partition(".")
        ours = rest.partition(".")[0] if top == "whichopt" else top
        assert top not in TOP or ours in ALLOWED[package], f"{path} imports {name}"
        assert package != "service" or top != "torch", f"{path} imports {name}"
        if package in ALONE:
            assert top in {"torch", package, *sys.stdlib_module_names}, f"{path} imports {name}"
        if package == "migrations":
            allowed = ("whichopt.migrations", "whichopt.service.db", "whichopt.service.settings")
            assert top != "whichopt" or name.startswith(allowed), f"{path}: {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_big_library_has_one_home(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    for name in imports(path, at_start=False):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or place.startswith(homes), f"{place} imports {name}"
    if place.startswith("service/") and place not in HOMES["optuna"]:
        early = {name.split(".")[0] for name in imports(path, at_start=True)} & FIRST_USE
        assert not early, f"{place} imports {early} at start"


WALLS = {
    "service/evidence/statistics/": ("whichopt.service.evidence.statistics",),
    "service/views/": (
        "whichopt.service.views",
        "whichopt.service.activity",
        "whichopt.service.catalog",
        "whichopt.service.described",
        "whichopt.service.figures",  # what a notebook shows of them
        "whichopt.service.spec",
        "whichopt.service.states",
        "whichopt.service.trials",
        "whichopt.service.uploads",
    ),
    "service/pages/": ("whichopt.service", "!whichopt.service.cli", "!whichopt.service.client"),
    "service/figures/": (
        "whichopt.service",
        "!whichopt.service.db",
        "!whichopt.service.routes",
        "!whichopt.service.pages",
    ),
    "service/db/": (
        "whichopt.service",
        "!whichopt.service.evidence",
        "!whichopt.service.lint",
        "!whichopt.service.routes",
        "!whichopt.service.cli",
    ),
    "service/planning/": ("whichopt.service", "!whichopt.service.db", "!whichopt.service.routes"),
    "service/evidence/": ("whichopt.service", "!whichopt.service.db", "!whichopt.service.routes"),
}
"""What of ours the files in a folder may import; `!` before what they may not."""


@pytest.mark.parametrize("folder", WALLS)
def test_the_walls_stand(folder: str) -> None:
    allowed = tuple(name for name in WALLS[folder] if not name.startswith("!"))
    barred = tuple(name[1:] for name in WALLS[folder] if name.startswith("!"))
    for path in (ROOT / folder).rglob("*.py"):
        for name in imports(path, at_start=False):
            assert not name.startswith("whichopt") or name.startswith(allowed), f"{path} imports {name}"
            assert not name.startswith(barred) if barred else True, f"{path} imports {name}"


DOORS = [path for folder in ("routes", "pages") for path in (ROOT / "service" / folder).rglob("*.py")]
"""The files that answer requests, and what several of them need."""


def test_no_route_imports_a_route() -> None:
    """What several need stands in a file without routes; a page is a route, too."""
    routes = {module_of(path) for path in DOORS if "\nrouter = " in path.read_text()}
    assert {"whichopt.service.routes.jobs", "whichopt.service.pages.home.page"} <= routes
    for path in DOORS:
        if path != ROOT / "service" / "pages" / "site.py":  # lists the pages, for the app
            assert not routes & set(imports(path, at_start=False)), path


def test_only_the_app_imports_pages() -> None:
    for path in FILES:
        if not path.is_relative_to(ROOT / "service" / "pages") and path != ROOT / "service" / "app.py":
            pages = [
                name for name in imports(path, at_start=False) if name.startswith("whichopt.service.pages")
            ]
            assert not pages, f"{path} imports {pages}"


def test_the_tests_mirror_the_tree() -> None:
    """A test stands in the folder of what it tests; at the top stands what concerns the whole."""
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    assert Path("service", "evidence", "verdict") in folders
    strays = {str(folder) for folder in folders if not (ROOT / folder).is_dir()}
    assert strays == {"rehearsal", "browser"}  # of compose file and image, and of all pages in a browser


def test_what_tests_make_leans_on_no_test() -> None:
    """Any test may use it, wherever that one stands."""
    for path in (ROOT / "tests" / "builders").glob("*.py"):
        for name in imports(path, at_start=False, types=True):
            assert not name.startswith("tests") or name.startswith("tests.builders"), f"{path} imports {name}"


READER = ROOT / "workers" / "intake"
SENDER = ROOT / "service" / "client" / "files.py"
"""Makes Parquet of a person's frame, if the person has pyarrow."""
FROM_OUTSIDE = {"numpy", "pyarrow", "PIL"}
OF_OURS = (
    "whichopt.workers.intake",
    "whichopt.service.uploads",
    "whichopt.service.splits",
    "whichopt.service.catalog.shapes",
    "whichopt.service.texts",
    "whichopt.service.windows",
)


def test_the_reader_of_files_knows_little() -> None:
    """A file may be made to harm it: it has no torch, no engine, no database and no broker to lend it."""
    for path in READER.rglob("*.py"):
        for name in imports(path, at_start=False, types=True):
            top = name.partition(".")[0]
            known = FROM_OUTSIDE | sys.stdlib_module_names
            assert name.startswith(OF_OURS) if top == "whichopt" else top in known, f"{path} imports {name}"
    for path in FILES:
        names = [name.partition(".")[0] for name in imports(path, at_start=False)]
        assert "pandas" not in names, path
        allowed = path.is_relative_to(READER) or path in (PREDICT, SENDER)
        assert "pyarrow" not in names or allowed, path


PREDICT = ROOT / "workers" / "fit" / "predict.py"


def test_the_program_that_predicts_needs_nothing_of_ours() -> None:
    """It is copied beside a network, and runs where whichopt is not installed."""
    names = {name.partition(".")[0] for name in imports(PREDICT, at_start=False, types=True)}
    assert names - sys.stdlib_module_names == {"numpy", "torch", "pyarrow"}
    at_start = {name.partition(".")[0] for name in imports(PREDICT, at_start=True)}
    assert "pyarrow" not in at_start
    of_images = PREDICT.with_name("predict_images.py")
    names = {name.partition(".")[0] for name in imports(of_images, at_start=False, types=True)}
    assert names - sys.stdlib_module_names == {"numpy", "torch", "PIL"}


STACKING = "whichopt.workers.engine.stacked"
ASKS_FOR_STACKING = {
    "workers/engine/executors.py",
    "benchmarks/gpu_check/checks.py",
}  # and a check of its bits


def test_what_exists_for_stacking_is_asked_for_in_one_place() -> None:
    """The folder can be left out: no other code of the product imports it, not even on first use."""
    asking = {
        str(path.relative_to(ROOT))
        for path in WRITTEN
        if not path.is_relative_to(ROOT / "tests")
        and not path.is_relative_to(ROOT / "workers" / "engine" / "stacked")
        and any(f"{name}.".startswith(f"{STACKING}.") for name in imports(path, at_start=False))
    }
    assert asking == ASKS_FOR_STACKING


def test_no_module_is_in_a_cycle() -> None:
    """Imports on first use and for types count: whoever needs another's types leans on it too."""
    edges = {
        name: {
            target
            for target in imports(path, at_start=False, types=True)
            if target in HOUSE and target != name
        }
        for name, path in HOUSE.items()
    }
    while leaves := [name for name, targets in edges.items() if not targets & edges.keys()]:
        for name in leaves:
            del edges[name]
    assert not edges, f"import cycles among {sorted(edges)}"


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_small_and_names_say_something(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    for name in path.relative_to(ROOT).with_suffix("").parts:
        assert name not in {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}


BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
SHARED = "benchmarks.shared"


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_benchmark_leans_on_no_other(path: Path) -> None:
    """Its folder can go without harm to the rest; what several use is in `shared`, which leans on none."""
    own = ".".join(module_of(path).split(".")[:2])
    for name in imports(path, at_start=False, types=True):
        place = ".".join(name.split(".")[:2])
        assert not name.startswith("benchmarks") or place in {own, SHARED}, f"{path} imports {name}"


def test_each_folder_of_the_benchmarks_is_a_command() -> None:
    folders = {path.parent for path in BENCHMARKS} - {ROOT / "benchmarks", ROOT / "benchmarks" / "shared"}
    assert folders
    assert [folder.name for folder in folders if not (folder / "__main__.py").exists()] == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("whichopt.service.app", ("torch", "scipy", "optuna", "optuna_dashboard", "vl_convert")),
        (
            "whichopt.service.cli",
            ("torch", "scipy", "optuna", "sqlalchemy", "fastapi", "pydantic", "httpx", "rich.console"),
        ),
        ("whichopt.workers.app", ("torch", "optuna", "sklearn")),
        ("whichopt.workers.__main__", ("torch", "celery", "pynvml")),
        ("whichopt.workers.intake.taken", ("torch", "celery", "sqlalchemy", "sklearn", "scipy", "pandas")),
        ("whichopt.workers.embedded.command", ("torch", "optuna", "sklearn", "fastapi", "pynvml")),
    ],
)
def test_starting_loads_nothing_heavy(module: str, absent: tuple[str, ...]) -> None:
    script = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, timeout=300
    )
    assert found.stdout.strip() == "[]"


def test_our_modules_are_imported_by_the_name_whichopt_alone() -> None:
    """A wheel that installs `service` breaks whoever has a folder of that name; texts that say so mislead."""
    names = "|".join(LINKED)
    heads = "|".join(sorted({name.split(".")[2] for name in MODULES if name.count(".") >= 2}))
    mention = re.compile(rf"(?<![\w./-])(?:{names})\.(?:{heads})(?![\w/])(?!\.py\b)")
    use = re.compile(
        rf"-m[ =](?:{names})\b|^\s*from (?:{names})(?: import\b|\.)|^\s*import (?:{names})\b", re.MULTILINE
    )
    wrong = []
    for path in WRITTEN:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            elif isinstance(node, ast.Import | ast.ImportFrom):
                text = ast.unparse(node)
            else:
                continue
            if mention.search(text) or use.search(text):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    texts = (
        *ROOT.glob("docs/**/*.md"),
        *map(ROOT.joinpath, ("README.md", "Makefile", "Dockerfile", "docker-compose.yml")),
    )
    wrong += [path.name for path in texts if mention.search(path.read_text()) or use.search(path.read_text())]
    assert wrong == []


def test_the_links_of_the_name_lead_to_the_folders() -> None:
    for folder in LINKED:
        link = ROOT / "whichopt" / folder
        assert link.is_symlink()
        assert os.readlink(link) == f"../{folder}"


def test_the_names_of_the_package_come_on_first_use_and_without_torch() -> None:
    """But for those that train a person's own function."""
    import whichopt

    script = (
        "import sys, whichopt; heavy = ('pydantic', 'httpx', 'numpy', 'torch');"
        "early = [name for name in heavy if name in sys.modules];"
        "light = set(whichopt.__all__) - {'candidate', 'run', 'tune'};"
        "[getattr(whichopt, name) for name in light]; print(early, 'torch' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "[] False"
    assert set(whichopt.__all__) <= set(dir(whichopt))
    with pytest.raises(AttributeError, match="has no attribute 'Cleint'"):
        _ = whichopt.Cleint
