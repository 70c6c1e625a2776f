"""Write the reference pages that follow from the code: `python -m docs.generate` (or `make reference`).

The job spec comes from pydantic, the commands from typer, the API from its OpenAPI document, and the catalog
from its entries. `tests/test_docs.py` fails if a page is out of date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main

from whichopt.service.app import openapi_json
from whichopt.service.catalog.capabilities import capabilities
from whichopt.service.catalog.datasets import DATASETS
from whichopt.service.catalog.models import MODELS
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.catalog.tasks import TASKS
from whichopt.service.cli import app
from whichopt.service.spec import JobSpec

REFERENCE = Path(__file__).parent / "reference"
Schema = Mapping[str, Any]


def pages() -> dict[str, str]:
    """Return the text of every generated page, by its file's name."""
    return {
        "job-spec.md": _page("The job spec", "`JobSpec`, which `POST /v1/jobs` takes.", _job_spec()),
        "commands.md": _page(
            "Commands",
            "`whichopt --help` says the same, and `whichopt --version` which version it is.",
            _commands(),
        ),
        "api.md": _page("REST API", "The service shows it at `/docs`, where calls can be tried.", _api()),
        "catalog.md": _page(
            "Catalog", "What a job may name. A service lists its own: `whichopt catalog`.", _catalog()
        ),
    }


def _page(title: str, about: str, lines: Iterable[str]) -> str:
    note = "<!-- Made by `python -m docs.generate`: change the code, not this page. -->"
    return "\n".join([f"# {title}", "", note, "", about, *lines]) + "\n"


# -- JSON schemas --------------------------------------------------------------------------------------


def _job_spec() -> Iterator[str]:
    schema = JobSpec.model_json_schema()
    yield from _shapes({"JobSpec": schema, **schema["$defs"]})


def _shapes(schemas: Mapping[str, Schema], *, level: str = "##") -> Iterator[str]:
    for name, schema in schemas.items():
        yield from ("", f"{level} {name}", "")
        if about := schema.get("description"):
            yield from (_prose(about), "")
        if "properties" not in schema:
            yield _kind(schema)
            continue
        yield from ("| field | type | default | |", "|---|---|---|---|")
        required = schema.get("required", ())
        for field, inner in schema["properties"].items():
            default = "required" if field in required else _default(inner)
            yield f"| `{field}` | {_kind(inner)} | {default} | {_cell(inner.get('description', ''))} |"


def _default(schema: Schema) -> str:
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def _kind(schema: Schema) -> str:
    """Say in Markdown what a schema takes; a shape of its own is a link to its heading."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[several]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "array":
            return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
        case "object":
            inner = schema.get("additionalProperties")
            return f"object of {_kind(inner)}" if isinstance(inner, dict) and inner else "object"
        case "string":
            return {"date-time": "time", "uuid": "id"}.get(schema.get("format", ""), "text") + _bounds(schema)
        case "integer":
            return "whole number" + _bounds(schema)
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case str(kind):
            return kind + _bounds(schema)
        case _:
            return "anything"


BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "maxLength": "characters at most",
}


def _bounds(schema: Schema) -> str:
    found = [
        f"{schema[key]:,} {words}" if key == "maxLength" else f"{words} {schema[key]:,}"
        for key, words in BOUNDS.items()
        if key in schema
    ]
    return f" ({', '.join(found)})" if found else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """Return a docstring's text with each paragraph on one line, its sections apart."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


# -- commands ------------------------------------------------------------------------------------------


def _commands() -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    yield from _of_group(group, "##", "")


def _of_group(group: Any, level: str, prefix: str) -> Iterator[str]:
    for word, command in group.commands.items():
        name = f"{prefix}{word}"
        if hasattr(command, "commands"):
            yield from ("", f"{level} {name}", "", _prose(command.help or ""))
            yield from _of_group(command, f"{level}#", f"{name} ")
            continue
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        options = [param for param in command.params if param.param_type_name == "option"]
        usage = " ".join(
            [name, *(_argument(param) for param in arguments), *(["[OPTIONS]"] if options else [])]
        )
        yield from ("", f"{level} {name}", "", f"`whichopt {usage}`", "", _prose(command.help or ""))
        if command.params:
            yield from ("", "| | default | |", "|---|---|---|")
        for param in arguments:
            yield f"| `{_argument(param)}` | {_value(param)} | {_cell(param.help or '')} |"
        for param in options:
            names = ", ".join(f"`{one}`" for one in param.opts)
            yield f"| {names} | {_value(param)} | {_cell(param.help or '')} |"


def _argument(param: Any) -> str:
    name = (param.metavar or param.name).upper()
    return name if param.required else f"[{name}]"


def _value(param: Any) -> str:
    """Return the default of an option or argument; a flag and what has to be given have none."""
    default = param.default
    shown = isinstance(default, str | int | float) and not isinstance(default, bool) and not param.required
    return f"`{default}`" if shown else ""


# -- the API -------------------------------------------------------------------------------------------


def _api() -> Iterator[str]:
    document = json.loads(openapi_json())
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _operation(f"{method.upper()} {path}", operation)
    yield from ("", "## Shapes", "", "What requests and answers hold.")
    yield from _shapes(document["components"]["schemas"], level="###")


def _operation(title: str, operation: Schema) -> Iterator[str]:
    yield from ("", f"## `{title}`", "", _prose(operation.get("description", operation["summary"])))
    if parameters := operation.get("parameters"):
        yield from ("", "| parameter | in | type | |", "|---|---|---|---|")
        for one in parameters:
            about = _cell(one.get("description", ""))
            yield f"| `{one['name']}` | {one['in']} | {_kind(one['schema'])} | {about} |"
    if body := operation.get("requestBody"):
        yield from ("", f"The body: {_contents(body['content'])}.")
    yield ""
    for status, answer in operation["responses"].items():
        status = "otherwise" if status == "default" else f"`{status}`"
        yield f"- {status}: {_contents(answer.get('content', {})) or _cell(answer['description'])}"


def _contents(content: Mapping[str, Schema]) -> str:
    return " or ".join(f"{_kind(one.get('schema', {}))} as `{media}`" for media, one in content.items())


# -- the catalog ---------------------------------------------------------------------------------------


def _catalog() -> Iterator[str]:
    yield from ("", "## Optimizers")
    for entry in OPTIMIZERS:
        yield from ("", f"### {entry.name}", "", f"{entry.title}: {entry.source}.", "")
        yield from (f"`{entry.build.target}`, {entry.state_bytes} bytes of state per float32 parameter.", "")
        yield from (" ".join(capabilities(entry)), "")
        yield from ("| hyperparameter | default | searched over |", "|---|---|---|")
        for name, dimension in entry.space.items():
            scale = getattr(dimension, "scale", "linear")
            searched = _cell(dimension.allowed()) + (f" ({scale})" if scale != "linear" else "")
            yield f"| `{name}` | `{json.dumps(entry.default[name])}` | {searched} |"
    yield from ("", "## Datasets", "", "| name | | task | source |", "|---|---|---|---|")
    yield from (f"| `{one.name}` | {one.title} | {one.task} | {one.source} |" for one in DATASETS)
    yield from ("", "## Models", "", "| name | | |", "|---|---|---|")
    yield from (f"| `{one.name}` | {one.title} | {one.about} |" for one in MODELS)
    for entry_with_options in (*DATASETS, *MODELS):
        schema = entry_with_options.options.model_json_schema()
        if schema.get("properties"):
            yield from (
                "",
                f"### Options of {entry_with_options.name}",
                "",
                "| option | type | default |",
                "|---|---|---|",
            )
            for field, inner in schema["properties"].items():
                kind = _kind(inner).replace("](#", "](job-spec.md#")  # their shapes stand on that page
                yield f"| `{field}` | {kind} | {_default(inner)} |"
    yield from ("", "## Tasks")
    for task in TASKS:
        yield from ("", f"### {task.name}", "", task.about, "")
        classes = any(metric.absent for metric in task.metrics)
        absent = (" classes without examples |", "---|") if classes else ("", "")
        yield f"| metric | | better | unit | a constant predictor scores |{absent[0]}"
        yield f"|---|---|---|---|---|{absent[1]}"
        for one in task.metrics:
            first = " (the default)" if one is task.metrics[0] else ""
            row = f"| `{one.name}`{first} | {one.title} | {one.direction.better} | {one.unit} |"
            yield f"{row} {one.constant} |" + (f" {one.absent} |" if classes else "")
        properties = task.options.model_json_schema().get("properties", {})
        if properties:
            yield from ("", "| option | type | default | |", "|---|---|---|---|")
        for field, inner in properties.items():
            yield f"| `{field}` | {_kind(inner)} | {_default(inner)} | {_cell(inner['description'])} |"


if __name__ == "__main__":
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)
