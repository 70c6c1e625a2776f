"""Reads a report back: from its JSON, plain or compressed, or from its page, which carries the JSON."""

from __future__ import annotations

import base64
import binascii
import codecs
import gzip
import io
import json
import re
import zlib
from pathlib import Path

from pydantic import ValidationError

from whichopt.service.errors import InvalidReport
from whichopt.service.evidence.report.beside import content_beside
from whichopt.service.evidence.report.document import FORMAT, Report

EMBEDDED = "data:application/gzip;base64,"
"""Beginning of the page's link that holds the JSON, compressed, and saves it."""

MOST_BYTES = 2**30
"""A compressed report is not read beyond so many bytes."""

_BEFORE_TEXT = b" \t\r\n\x00" + codecs.BOM_UTF8 + codecs.BOM_UTF16
"""Bytes that may stand before a text's first character, in any of its encodings."""

_GZIP = b"\x1f\x8b"
_LINK = re.compile(re.escape(EMBEDDED).encode() + rb"([A-Za-z0-9+/=]+)")


def read_report(path: Path) -> Report:
    """Return the report in the file.

    Args:
        path: a report as the service gives it: the page, or the JSON, plain or compressed by gzip.

    Raises:
        InvalidReport: the file has no report that can be read, or the file beside it that it names is another
            one; the error says why.

    Example:
        >>> from pathlib import Path
        >>> from whichopt import read_report
        >>> report = read_report(Path("report.json"))
        >>> report.spec.labels
        ('adabelief', 'sgd')
    """
    return whole_report(parse_report(read_content(path), name=str(path)), path)


def whole_report(report: Report, path: Path) -> Report:
    """Return the report, which was read from `path`, with the values by example that lie in a file beside it.

    If it is not there, the report stays as it is, and `verify` says what is missing.

    Raises:
        InvalidReport: there is such a file, and it is not the one that the report names.
    """
    content = None if report.examples is None else content_beside(path, report.examples)
    return report if content is None else report.with_examples(content)


def read_content(path: Path) -> bytes:
    """Return the content of the file.

    Raises:
        InvalidReport: it cannot be read; the error says why.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidReport(f"cannot read {path}: {error.strerror}") from None


def is_page(content: bytes) -> bool:
    """Tell if the content is a report's page, which holds the JSON."""
    return content.lstrip(_BEFORE_TEXT)[:1] == b"<"


def parse_report(content: bytes, *, name: str) -> Report:
    """The report in `content`, which came from the file `name`.

    Raises:
        InvalidReport: it has no report that can be read; the error says why.
    """
    text = _text(content, name)
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InvalidReport(f"{name} has no report: it is not JSON ({error})") from None
    form = data.get("format") if isinstance(data, dict) else None
    if form != FORMAT:
        raise InvalidReport(
            f"{name} is no report that this version reads: its format is {form!r}, not {FORMAT!r}",
            field="format",
            value=form,
            allowed=[FORMAT],
        )
    try:
        return Report.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InvalidReport(
            f"{name}: {field}: {first['msg']}{more}", field=field, value=repr(first.get("input"))[:80]
        ) from None


def _text(content: bytes, name: str) -> bytes:
    if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:  # as another system's shell or editor saved it
            content = content.decode(json.detect_encoding(content)).encode()
        except UnicodeDecodeError as error:
            raise InvalidReport(f"{name} has no report: it is not text ({error.reason})") from None
    if is_page(content):
        link = _LINK.search(content)
        if link is None:
            raise InvalidReport(f"{name} is a page without a report in it; save the report as JSON instead")
        try:
            content = base64.b64decode(link.group(1), validate=True)
        except binascii.Error as error:
            raise InvalidReport(f"{name}: the report in this page is broken ({error})") from None
    if not content.startswith(_GZIP):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            text = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidReport(f"{name}: its compressed report is broken ({error})") from None
    if len(text) > MOST_BYTES:
        raise InvalidReport(f"{name} unpacks to more than {MOST_BYTES:,} bytes")
    return text
