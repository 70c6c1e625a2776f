"""Infers what the values of a column are, from all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whichopt.service.uploads import Kind
from whichopt.workers.intake.dates import dates
from whichopt.workers.intake.problems import Unreadable, shown
from whichopt.workers.intake.raw import AS_TEXT, as_numpy
from whichopt.workers.intake.words import Coded, coded, yes_or_no

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ID_NAME = re.compile(
    r"(^|[_ .-])(id|uid|uuid|guid|index|idx|row|rownum|row_number)$|Id$|ID$|^unnamed|^__index"
)
FEWEST_IDS = 20
"""Rows of a table from which on values that are all distinct may be ids."""
MOSTLY_DISTINCT = 0.5
"""Share of rows with a word of their own above which words are no categories."""
LONG_TEXT = 60
"""Mean number of characters above which words are text."""
LARGEST_WHOLE = 2.0**53
SAMPLE, MANY = 10_000, 0.95
"""Values by which it is told how many are distinct, and the share of them above which these are many."""
FIRST = 1000
"""Rows that are looked at before all are: they often tell already."""

COMMA_NUMBER = r"^[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?$"


@dataclass(frozen=True)
class Values:
    """The values of a column: `numbers` with NaN for missing, or words; `note` says what was decided."""

    name: str
    kind: Kind
    missing: int
    distinct: int
    numbers: Numbers | None = None
    words: Coded | None = None
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    labels: tuple[str, str] = ("0", "1")
    """What 0 and 1 of a bool stand for."""
    note: str | None = None
    doubt: str | None = None
    """What looks wrong with the column."""
    way: str | None = None
    """How the values are written: the name of a field of `Written`."""


def read(
    name: str, data: pa.ChunkedArray | Numbers, asked: Kind | None, first_row: int, *, used: bool = True
) -> Values:
    """Return the values of a column, read as all of them can be: as numbers, dates, yes or no, or words.

    Args:
        name: its name.
        data: its values, as the file has them.
        asked: the kind that a person says it has.
        first_row: the number of its first row.
        used: whether it may be used; one that a person leaves out may hold any number.

    Raises:
        Unreadable: it is used, and has infinite numbers.
    """
    if isinstance(data, np.ndarray):
        values = _from_numbers(name, data, Kind.NUMERIC)
    elif pa.types.is_string(data.type) or pa.types.is_dictionary(data.type):
        values = _from_text(name, data, asked, first_row)
    else:
        values = _from_numbers(name, _typed(data), _typed_kind(data.type))
        if pa.types.is_boolean(data.type):
            values = replace(values, labels=("false", "true"))
    if used and values.numbers is not None and (np.isinf(values.low) or np.isinf(values.high)):
        row = int(np.argmax(np.isinf(values.numbers))) + first_row
        raise Unreadable(
            f"column {shown(name)} is infinite in row {row}: leave the field empty if the value is unknown, "
            "or write the number that is meant",
            row=row,
            column=name,
        )
    return values


def settled(values: Values, asked: Kind | None, first_row: int, outside: Mask | None = None) -> Values:
    """Return the values with the kind that a person says they have, else that the rows outside test say.

    Args:
        values: the values of a column.
        asked: the kind that a person says it has.
        first_row: the number of its first row.
        outside: the rows outside the test part; None for a column that is to be predicted or divides the
            rows: all of them decide on it, and it is no id whatever it holds.

    Raises:
        Unreadable: it cannot have the kind that is asked.
    """
    if values.words is not None:
        if asked not in AS_TEXT:
            values = replace(values, kind=_kind_of_words(values.words, outside))
    elif values.kind is Kind.NUMERIC and _are_bools(values, outside):
        values = replace(values, kind=Kind.BOOL)
    if asked is None:
        return values if outside is None else _as_id(values, outside)
    return _as_asked(values, asked, first_row)


def _typed(data: pa.ChunkedArray) -> Numbers:
    if pa.types.is_timestamp(data.type) or pa.types.is_date(data.type):
        moments = pc.cast(data, pa.timestamp("us"), safe=False)
        numbers = _doubles(pc.cast(moments, pa.int64())) / 1e6
    else:
        numbers = _doubles(data)
    return numbers


def _doubles(data: pa.ChunkedArray) -> Numbers:
    """Return numbers with NaN where there is none, and no negative zero."""
    numbers: Numbers = as_numpy(pc.cast(data, pa.float64(), safe=False), np.nan)
    numbers += 0.0
    return numbers


def _typed_kind(kind: pa.DataType) -> Kind:
    if pa.types.is_boolean(kind):
        return Kind.BOOL
    return Kind.DATE if pa.types.is_temporal(kind) and not pa.types.is_time(kind) else Kind.NUMERIC


def _from_numbers(name: str, numbers: Numbers, kind: Kind, note: str | None = None) -> Values:
    low = float(numbers.min())
    missing = int(np.isnan(numbers).sum()) if np.isnan(low) else 0
    present = numbers[~np.isnan(numbers)] if missing else numbers
    low, high = (float(present.min()), float(present.max())) if len(present) else (0.0, 0.0)
    distinct = _distinct(present)
    whole = low > -LARGEST_WHOLE and high < LARGEST_WHOLE
    whole = whole and _are_whole(present)
    return Values(name, kind, missing, distinct, numbers, low=low, high=high, whole=whole, note=note)


def _distinct(numbers: Numbers) -> int:
    """Return the number of distinct numbers: by hashing, which takes long if they are many, or by sorting."""
    some = numbers[:: max(1, len(numbers) // SAMPLE)]
    if len(np.unique(some)) > MANY * len(some):
        ordered = np.sort(numbers)
        return len(ordered) and 1 + int((ordered[1:] != ordered[:-1]).sum())
    return int(pc.count_distinct(pa.array(numbers)).as_py())


def _are_whole(numbers: Numbers) -> bool:
    return all(bool((some == np.rint(some)).all()) for some in (numbers[:FIRST], numbers))


def _are_bools(values: Values, outside: Mask | None) -> bool:
    """Tell if zeros and ones are there in these rows, and no other numbers."""
    assert values.numbers is not None
    for rows in (slice(FIRST), slice(None)):
        numbers = values.numbers[rows] if outside is None else values.numbers[rows][outside[rows]]
        zeros, ones = numbers == 0, numbers == 1
        if not (zeros | ones | np.isnan(numbers)).all():
            return False
    return bool(zeros.any() and ones.any())


def _from_text(name: str, data: pa.ChunkedArray, asked: Kind | None, first_row: int) -> Values:
    if asked not in AS_TEXT and pa.types.is_string(data.type):
        try:
            numbers = _doubles(data)
        except pa.ArrowInvalid:
            pass
        else:
            if asked is Kind.NUMERIC or not _leading_zeros(data, numbers):
                return _from_numbers(name, numbers, Kind.NUMERIC)
    found = coded(data)
    if asked not in AS_TEXT and (values := _from_words(name, found, asked)) is not None:
        return values
    missing = int((found.codes < 0).sum())
    values = Values(name, Kind.CATEGORY, missing, len(found.words), words=found)
    return values if asked in AS_TEXT else replace(values, doubt=_doubt(found, first_row))


def _leading_zeros(data: pa.ChunkedArray, numbers: Numbers) -> bool:
    """Tell if whole numbers are codes, as postal codes are: 01234."""
    present = numbers[~np.isnan(numbers)]
    if not len(present) or not (present == np.rint(present)).all():
        return False
    zeros = pc.and_kleene(pc.starts_with(data, "0"), pc.greater(pc.binary_length(data), 1))
    if not pc.any(zeros).as_py():
        return False
    return bool(pc.any(pc.match_substring_regex(data.filter(zeros), r"^0\d+$")).as_py())


def _from_words(name: str, found: Coded, asked: Kind | None) -> Values | None:
    """Return the values if all words are a yes or a no, numbers or dates."""
    if not len(found.words):
        return _from_numbers(name, np.full(len(found.codes), np.nan), Kind.NUMERIC)
    if (labels := yes_or_no(found)) is not None:
        yes = as_numpy(pc.equal(pc.utf8_lower(found.words), labels[1].lower()))
        return replace(_from_numbers(name, found.spread(yes.astype(float)), Kind.BOOL), labels=labels)
    if not pc.any(pc.match_substring_regex(found.words, r"^0\d+$")).as_py() or asked is Kind.NUMERIC:
        try:
            numbers = _doubles(pa.chunked_array([found.words]))
            return _from_numbers(name, found.spread(numbers), Kind.NUMERIC)
        except pa.ArrowInvalid:
            pass
    if pc.all(pc.match_substring_regex(found.words, COMMA_NUMBER)).as_py() and _decimal_commas(found):
        numbers = _doubles(pa.chunked_array([pc.replace_substring(found.words, ",", ".")]))
        note = "commas are read as decimal points"
        values = _from_numbers(name, found.spread(numbers), Kind.NUMERIC, note)
        return replace(values, way="decimal_commas")
    if (read := dates(found.words)) is not None:
        values = _from_numbers(name, found.spread(read.seconds), Kind.DATE, read.note)
        return replace(values, way=read.first and f"{read.first}_first")
    return None


def _decimal_commas(found: Coded) -> bool:
    """Tell if commas are decimal points: one that three digits follow in each word divides thousands."""
    with_comma = found.words.filter(pc.match_substring(found.words, ","))
    return (
        len(with_comma) > 0
        and not pc.all(pc.match_substring_regex(with_comma, r"^[+-]?[1-9]\d{0,2},\d{3}$")).as_py()
    )


def _kind_of_words(found: Coded, outside: Mask | None) -> Kind:
    counts = found.counts_in(outside)
    words, present = found.words.filter(pa.array(counts > 0)), int(counts.sum())
    length = pc.mean(pc.utf8_length(words)).as_py() or 0
    if len(words) > max(FEWEST_IDS, MOSTLY_DISTINCT * present):
        several = pc.mean(pc.cast(pc.match_substring(words, " "), pa.float64())).as_py() > 0.5
        return Kind.TEXT if several or length > LONG_TEXT else Kind.ID
    return Kind.TEXT if length > LONG_TEXT else Kind.CATEGORY


def _doubt(found: Coded, first_row: int) -> str | None:
    """Say so if nearly all words are numbers: the others may be errors."""
    number = pc.match_substring_regex(found.words, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    others = pc.indices_nonzero(pc.invert(number))
    if not 0 < len(others) <= 0.1 * len(found.words):
        return None
    word = others[0].as_py()
    row = found.first_row(word) + first_row
    return f"{shown(found.words[word])} in row {row} is no number, though nearly all others are"


def _as_id(values: Values, outside: Mask) -> Values:
    """Return whole numbers that only number the rows as ids."""
    if values.kind is not Kind.NUMERIC or values.numbers is None or len(outside) < FEWEST_IDS:
        return values
    if not _are_whole(values.numbers[:FIRST][outside[:FIRST]]):
        return values
    numbers = values.numbers[outside]
    if not _are_whole(numbers) or not max(abs(numbers.min()), abs(numbers.max())) < LARGEST_WHOLE:
        return values
    counts_rows = bool((numbers - np.flatnonzero(outside) == numbers[0] - np.argmax(outside)).all())
    if counts_rows or (
        ID_NAME.search(values.name) and pc.count_distinct(pa.array(numbers)).as_py() == len(numbers)
    ):
        return replace(values, kind=Kind.ID)
    return values


def _as_asked(values: Values, asked: Kind, first_row: int) -> Values:
    """Return the values as the kind that a person says they have."""
    if asked is values.kind:
        return replace(values, doubt=None)
    if asked in (Kind.CATEGORY, Kind.TEXT, Kind.ID):
        words = values.words or coded(pa.chunked_array([as_words(values)]))
        return Values(values.name, asked, values.missing, len(words.words), words=words)
    if asked is Kind.NUMERIC and values.numbers is not None:
        return replace(values, kind=asked)
    if asked is Kind.DATE and values.kind is Kind.NUMERIC:
        note = "numbers are read as seconds since 1970"
        return replace(values, kind=asked, note=note, way="as_seconds")
    raise _refused(values, asked, first_row)


def _refused(values: Values, asked: Kind, first_row: int) -> Unreadable:
    row, example = None, ""
    if (words := values.words) is not None and len(words.words):
        word = next((i for i, text in enumerate(words.words.to_pylist()) if not _is(text, asked)), 0)
        row = words.first_row(word) + first_row
        example = f": row {row} has {shown(words.words[word])}"
    return Unreadable(
        f"column {shown(values.name)} is to be {asked}, but not all of its values are{example}; mend "
        "them, or leave the field empty if the value is unknown",
        row=row,
        column=values.name,
    )


def _is(text: str, asked: Kind) -> bool:
    one = pa.array([text])
    if asked is Kind.DATE:
        return dates(one) is not None
    try:
        pc.cast(one, pa.float64())
    except pa.ArrowInvalid:
        return False
    return asked is Kind.NUMERIC


def as_words(values: Values) -> pa.StringArray:
    """Return numbers as the words of categories or classes: 1 rather than 1.0."""
    assert values.numbers is not None
    numbers = pa.array(values.numbers, from_pandas=True)
    if values.kind is Kind.BOOL:
        return pc.if_else(pc.equal(numbers, 1.0), values.labels[1], values.labels[0])
    if values.whole:
        return pc.cast(pc.cast(numbers, pa.int64()), pa.string())
    return pc.cast(_few_as_words(numbers.dictionary_encode()), pa.string())


def _few_as_words(numbers: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return numbers as Python writes them, as who reads the file elsewhere does, and not as Arrow does."""
    words = [
        str(int(one)) if one.is_integer() and abs(one) < LARGEST_WHOLE else repr(one)
        for one in numbers.dictionary.to_pylist()
    ]
    return pa.DictionaryArray.from_arrays(numbers.indices, pa.array(words, pa.string()))
