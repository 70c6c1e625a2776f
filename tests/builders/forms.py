"""Forms of pages as a browser sends them, and what pages say at their fields."""

from __future__ import annotations

import html
import re
from typing import Any

from fastapi.testclient import TestClient

Fields = list[tuple[str, str]]
HTMX = {"HX-Request": "true"}
JSON = re.compile(r'id="as-json-text"[^>]*>(.*?)</', re.DOTALL)


def fields(text: str, *changes: tuple[str, str], ticked: list[str] | None = None) -> Fields:
    """The fields that a browser sends of the page, with some of them changed."""
    form = text[text.index('<form id="new"') : text.index("</form>", text.index('<form id="new"'))]
    found: Fields = []
    for tag in re.findall(r"<input [^>]*>|<select .*?</select>|<textarea .*?</textarea>", form, re.DOTALL):
        head = tag[: tag.index(">") + 1]
        name = re.search(r'name="([^"]*)"', head)
        if name is None or (('type="checkbox"' in head or 'type="radio"' in head) and " checked" not in head):
            continue
        if tag.startswith("<select"):
            value = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', tag)
            text_of = "" if value is None else value[2] if value[1] is None else value[1]
        elif tag.startswith("<textarea"):
            text_of = tag[tag.index(">") + 1 : tag.rindex("<")]
        else:
            given = re.search(r'value="([^"]*)"', head)
            text_of = given[1] if given else ""
        found.append((html.unescape(name[1]), html.unescape(text_of)))
    changed = dict(changes)
    if ticked is not None:
        found = [one for one in found if one[0] != "optimizer"] + [("optimizer", name) for name in ticked]
    return [(name, text) for name, text in found if name not in changed] + list(changes)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def told(text: str, field: str) -> str:
    """What is said at a field, on a page or in a part of one."""
    found = re.search(rf'data-(?:told|for)="{re.escape(field)}">(.*?)(?:</li>|</div>\n)', text, re.DOTALL)
    return "" if found is None else words(found[1])


def posted(http: TestClient, sent: Fields, path: str = "/new", *, htmx: bool = False) -> Any:
    data: dict[str, Any] = {}
    for name, text in sent:
        data.setdefault(name, []).append(text)
    return http.post(path, data=data, headers=HTMX if htmx else {})


def jobs_of(http: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/v1/jobs").json()["items"]
    return found


SMALL = (("dataset", "wine"), ("model", "linear"), ("trials", "4"), ("studies", "2"), ("seeds", "3"))
"""The fields of a small job."""
