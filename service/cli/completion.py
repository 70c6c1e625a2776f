"""Completes ids of jobs and names of datasets of the running service in the shell. Silent on failure."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from whichopt.service.secret_files import secret

DATA = Path("whichopt-data")
KINDS = ("optimizers", "models", "datasets", "tasks", "plugins")
ANSWER_S = 1.0
"""Seconds that a shell waits for the service; without an answer it proposes nothing."""


def kinds(incomplete: str) -> list[str]:
    """Return the catalogs that begin with what is typed."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def job_ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of the latest jobs that begin with what is typed, each with its state and name."""
    return _proposed(
        ctx,
        "/v1/jobs?limit=50",
        incomplete.lower(),
        lambda job: (job["id"], f"{job['state']} {job['name'] or ''}".rstrip()),
    )


def dataset_names(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the names of the datasets that begin with what is typed, each with its state."""
    return _proposed(
        ctx, "/v1/datasets", incomplete, lambda entry: (entry["name"], entry["details"].get("state", ""))
    )


def _proposed(
    ctx: typer.Context, path: str, beginning: str, propose: Callable[[dict[str, Any]], tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return what is proposed for the items that the service lists there."""
    from http.client import HTTPException

    from whichopt.service.errors import WhichoptError

    data = Path(ctx.params.get("data") or DATA)
    try:
        url = ctx.params.get("url") or os.environ.get("WHICHOPT_URL") or read(data / "url")
        key = ctx.params.get("key") or secret("WHICHOPT_KEY") or os.environ.get("WHICHOPT_KEY")
        key = key or read(data / "api-key")
        items = [] if url is None or key is None else _listed(url, key, path)
        return [words for words in map(propose, items) if words[0].startswith(beginning)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, HTTPException, WhichoptError):
        return []  # a shell that asks for proposals shows no errors, whatever it was that answered


def read(path: Path) -> str | None:
    """Return what the file holds, or None if there is none."""
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def _listed(url: str, key: str, path: str) -> list[dict[str, Any]]:
    """Return what is listed at the path; by the standard library, as importing the client takes a second."""
    import json
    from urllib.request import Request

    from whichopt.service.proxies import opener

    request = Request(f"{url.rstrip('/')}{path}", headers={"X-API-Key": key})
    with opener(url).open(request, timeout=ANSWER_S) as answer:
        items: list[dict[str, Any]] = json.load(answer)["items"]
    return items
