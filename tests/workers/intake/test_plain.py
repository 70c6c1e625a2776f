"""Texts as they are taken in: their tokens, what is said about them, and files that are no texts."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.builders.texts import prose, taken_text, upload_text
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.language import TextOptions
from whichopt.service.errors import InvalidSpec
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.texts import BEGINNING, MOST_CHARACTERS, Text
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import Problem, TooLarge, Unreadable
from whichopt.workers.workload.uploads import read_text


def _facts(folder: Path, data: str | bytes) -> Text:
    facts = taken_text(folder, data).table.text
    assert facts is not None
    return facts


def test_what_is_told_of_a_text(tmp_path: Path) -> None:
    text = prose()
    taken = taken_text(tmp_path, text)
    table, facts = taken.remarked(), taken.table.text
    assert facts is not None
    assert facts.characters == len(text)
    assert facts.bytes == len(text.encode())
    assert facts.lines == len(text.splitlines())
    assert facts.vocabulary == "".join(sorted(set(text)))
    assert facts.rare == 0
    assert facts.beginning == text[:BEGINNING]
    assert table.shape.examples == table.rows == (len(text) - 1) // 64
    assert table.shape.outputs == table.shape.tokens == len(facts.vocabulary)
    assert table.columns == ()
    assert table.remarks == ()
    assert any("the last fifth of the text tests" in note for note in table.notes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_same_text_is_the_same_dataset_however_it_is_written(encoding: str, tmp_path: Path) -> None:
    """Its encoding, the ends of its lines and a compression are not what is learned."""
    plain = taken_text(tmp_path, prose()).keep(tmp_path)[1]
    for data in (
        prose().encode(encoding),
        prose().replace("\n", "\r\n").encode(),
        prose().replace("\n", "\r").encode(),
        gzip.compress(prose().encode(encoding), mtime=0),
    ):
        assert taken_text(tmp_path, data).keep(tmp_path)[1] == plain


def test_what_is_kept_is_the_text(tmp_path: Path) -> None:
    path, _ = taken_text(tmp_path, prose()).keep(tmp_path)
    windows = read_text(path, TextOptions(length=10))
    assert "".join(sorted(set(prose())))[windows.tokens[5]] == prose()[5]
    octets = read_text(path, TextOptions(length=10, tokens="bytes"))
    assert octets.tokens.tobytes() == prose().encode()


def test_characters_beyond_the_most_frequent_share_a_token(tmp_path: Path) -> None:
    many = "".join(chr(0x4E00 + n) for n in range(2000))
    text = ("ab" * 3000 + many) * 2
    taken = taken_text(tmp_path, text)
    facts = taken.table.text
    assert facts is not None
    assert len(facts.vocabulary) == MOST_CHARACTERS
    assert {"a", "b"} <= set(facts.vocabulary)
    assert facts.rare == 2 * (2000 - MOST_CHARACTERS + 2)
    assert taken.table.shape.tokens == MOST_CHARACTERS + 1
    (remark,) = taken.remarked().remarks
    assert remark.code == "rare_characters"
    assert "bytes" in remark.instead


def test_the_end_of_a_text_says_nothing_about_its_tokens(tmp_path: Path) -> None:
    """It tests: a character that only it has is one that nobody could learn."""
    facts = _facts(tmp_path, prose(4000) + "€")
    assert "€" not in facts.vocabulary
    assert facts.rare == 1


def test_a_text_of_one_endless_line_is_a_text(tmp_path: Path) -> None:
    facts = _facts(tmp_path, prose(3_000_000).replace("\n", " "))
    assert facts.lines == 1


@pytest.mark.parametrize(
    ("data", "row", "match"),
    [
        ("", None, "0 characters; a text to learn from needs at least 321"),
        ("a", None, "1 character;"),
        ("a" * 5000, None, "the character 'a' again and again"),
        (prose(300), None, "300 characters"),
        (prose(700) + "\n\0" + prose(700), 22, "NUL character, so the file is no text"),
        (("no mark " * 99).encode("utf-16-le"), 1, "UTF-16 without a mark"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, 1, "is no text in UTF-8: it has the bytes 89"),
        (prose(700).encode() + b"\n\xe9t\xe9\n", 23, "bytes e9 74 e9"),
        (prose().encode() + b"\xc3", None, "in the middle of a character"),
        (gzip.compress(prose().encode(), mtime=0)[:-20], None, "gzip"),
    ],
)
def test_what_is_no_text_to_learn_from_is_refused(
    data: str | bytes, row: int | None, match: str, tmp_path: Path
) -> None:
    with pytest.raises(Unreadable, match=match) as refused:
        taken_text(tmp_path, data)
    if row is not None:
        before = data.encode() if isinstance(data, str) else data
        assert refused.value.row is not None
        assert refused.value.row <= before.count(b"\n") + 1


def test_a_text_that_inflates_without_end_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(20_000_000).replace(b"\0", b"ab"), mtime=0)
    with pytest.raises(TooLarge, match="send a part of it"):
        taken_text(tmp_path, bomb, Limits(table_bytes=1_000_000))


@pytest.mark.parametrize(
    "said", [{"target": "y"}, {"split": "time:day"}, {"header": True}, {"columns": {"a": "id"}}]
)
def test_a_text_has_no_columns_to_say_something_about(said: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Problem, match=f"leave {next(iter(said))} out"):
        taken_text(tmp_path, prose(), **said)


def _resolved(folder: Path, **options: Any) -> Any:
    data = upload_text(folder, prose())
    catalog = dataclasses.replace(built_in(), datasets=(*built_in().datasets, data))
    job = {"workload": {"dataset": {"name": "book", **options}, "model": "lstm"}, "batch_size": 8}
    return resolve(JobSpec.model_validate(job), catalog).cataloged


def test_a_job_says_how_a_text_is_cut(tmp_path: Path) -> None:
    assert _resolved(tmp_path).shape.features == 64
    other = _resolved(tmp_path, length=20, tokens="bytes")
    assert (other.shape.features, other.shape.tokens) == (20, 256)
    assert other.shape.examples == (len(prose().encode()) - 1) // 20
    assert other.upload.text is not None
    assert other.upload.text.beginning == ""
    with pytest.raises(InvalidSpec, match="set length to at most 799") as refused:
        _resolved(tmp_path, length=1000)
    assert refused.value.field == "workload.dataset.length"
