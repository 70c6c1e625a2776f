"""Dates and times in text, as seconds since 1970 (UTC)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whichopt.workers.intake.raw import as_numpy

Seconds = npt.NDArray[np.float64]
First = Literal["day", "month"]

TIME = (
    r"(?:[T ](?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}(?:[.,]\d{1,9})?))? ?(?P<zone>Z|[+-]\d{2}:?\d{2})?)?$"
)
YEAR_FIRST = r"^(?P<a>\d{4})(?:-(?P<b>\d{1,2})-|/(?P<b2>\d{1,2})/|\.(?P<b3>\d{1,2})\.)(?P<c>\d{1,2})" + TIME
YEAR_LAST = r"^(?P<a>\d{1,2})(?:-(?P<b>\d{1,2})-|/(?P<b2>\d{1,2})/|\.(?P<b3>\d{1,2})\.)(?P<c>\d{4})" + TIME


class Dates(NamedTuple):
    """Seconds of each word, what had to be decided to read them, and what is first if the year is last."""

    seconds: Seconds
    note: str | None
    first: First | None = None


def dates(words: pa.StringArray) -> Dates | None:
    """Return the seconds of words that are all dates, else None.

    ISO 8601 and year-first dates with other marks are dates, and day, month and year in either order: the
    order in which all of them are dates, or for dates with dots the day first, else the month.
    """
    if not len(words):
        return None
    try:
        return Dates(as_numpy(pc.cast(pc.cast(words, pa.timestamp("us")), pa.int64())) / 1e6, None)
    except pa.ArrowInvalid:
        pass
    if (parts := _parts(words, YEAR_FIRST)) is not None:
        seconds = _seconds(parts, parts["a"], parts["b"], parts["c"])
        return None if seconds is None else Dates(seconds, None)
    if (parts := _parts(words, YEAR_LAST)) is None:
        return None
    month_first = _seconds(parts, parts["c"], parts["a"], parts["b"])
    day_first = _seconds(parts, parts["c"], parts["b"], parts["a"])
    example = words[0].as_py()
    if month_first is None or day_first is None:
        order: First = "day" if month_first is None else "month"
        only = day_first if month_first is None else month_first
        note = f"dates such as {example} have the {order} first"
        return None if only is None else Dates(only, note, order)
    order = "day" if (parts["dotted"] == 1).all() else "month"
    note = (
        f"dates such as {example} are read with the {order} first, though both orders fit; write them as "
        "2024-12-31 to be sure"
    )
    return Dates(day_first if order == "day" else month_first, note, order)


def written(seconds: float) -> str:
    """Return the date as ISO 8601 writes it, without a time that is midnight.

    >>> written(86400.0)
    '1970-01-02'
    """
    text = str(np.datetime64(round(seconds * 1e3), "ms"))
    return text.removesuffix(".000").removesuffix("T00:00:00")


def _parts(words: pa.StringArray, pattern: str) -> dict[str, npt.NDArray[np.float64]] | None:
    """Return the parts of each word by the names of the pattern's groups, or None if one does not match."""
    if pc.match_substring_regex(words[:1], pattern)[0].as_py() is False:
        return None
    fields = pc.extract_regex(words, pattern)
    if fields.null_count:
        return None
    text = {field.name: fields.field(i) for i, field in enumerate(fields.type)}
    names = ("a", "b", "b2", "b3", "c", "h", "m", "s")
    parts = {name: _numbers(pc.replace_substring(text[name], ",", ".")) for name in names}
    parts["dotted"] = (parts["b3"] > 0).astype(float)
    parts["b"] = parts["b"] + parts["b2"] + parts["b3"]
    zone = pc.replace_substring(pc.replace_substring(text["zone"], ":", ""), "Z", "+0000")
    sign = np.where(as_numpy(pc.starts_with(zone, "-")), -1.0, 1.0)
    hours, minutes = (_numbers(pc.utf8_slice_codeunits(zone, i, i + 2)) for i in (1, 3))
    parts["offset"] = sign * (hours * 3600 + minutes * 60)
    return parts


def _numbers(text: pa.StringArray) -> npt.NDArray[np.float64]:
    filled = pc.if_else(pc.equal(text, ""), "0", text)
    numbers: npt.NDArray[np.float64] = as_numpy(pc.cast(filled, pa.float64()))
    return numbers


def _seconds(
    parts: dict[str, npt.NDArray[np.float64]], year: Seconds, month: Seconds, day: Seconds
) -> Seconds | None:
    """Return the seconds, or None if one of them is no date."""
    in_range = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    in_range &= (parts["h"] < 24) & (parts["m"] < 60) & (parts["s"] < 61)
    if not in_range.all():
        return None
    months = (year.astype(np.int64) - 1970).astype("M8[Y]").astype("M8[M]") + (month.astype(np.int64) - 1)
    days = months.astype("M8[D]") + (day.astype(np.int64) - 1)
    if (days.astype("M8[M]") != months).any():  # the 31st of April
        return None
    time = parts["h"] * 3600 + parts["m"] * 60 + parts["s"] - parts["offset"]
    seconds: Seconds = days.astype("M8[s]").astype(np.float64) + time
    return seconds
