"""Predicts the rows of a file with the network that lies beside this program.

    python predict.py ROWS.csv PREDICTIONS.csv

ROWS is a CSV or TSV file, compressed by gzip or not, or a Parquet file. It has the columns that the network
was trained on; others, such as the one that is predicted, are not looked at. PREDICTIONS gets a row for each
row: `prediction`, and for classes the probability of each; or `prediction 1`, `prediction 2` and so on, if
there are several numbers. Only torch and numpy are needed, and pyarrow for Parquet.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
import zlib
from collections.abc import Iterator
from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
ROWS_AT_ONCE = 1 << 14
FARTHEST, LARGEST = 10.0, 1e150
"""Bounds on a standardized number, and on a number."""

MISSING = {"", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "?", "-"}
WORDS = {"false": 0.0, "no": 0.0, "n": 0.0, "f": 0.0, "off": 0.0}
WORDS |= {"true": 1.0, "yes": 1.0, "y": 1.0, "t": 1.0, "on": 1.0}
DATE = re.compile(
    r"(?P<a>\d{1,4})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{1,4})"
    r"(?:[T ](?P<h>\d{1,2})(?::(?P<m>\d{2})(?::(?P<s>\d{2}(?:[.,]\d{1,9})?))?)?"
    r" ?(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?)?"
)


class Unreadable(Exception):
    """What is wrong with the file, in words."""


class Residual(torch.nn.Sequential):
    """A chain of modules whose inputs are added to its outputs."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the inputs plus what the chain makes of them."""
        outputs = inputs
        for module in self:
            outputs = module(outputs)
        return inputs + outputs


class Projected(torch.nn.Sequential):
    """Two chains of modules whose outputs are added."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the sum of what the two make of the inputs."""
        block, shortcut = self
        outputs: torch.Tensor = block(inputs) + shortcut(inputs)
        return outputs


class Joined(torch.nn.Sequential):
    """A chain of modules whose outputs are more channels of its inputs."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the inputs, and behind their channels those that the chain makes of them."""
        outputs = inputs
        for module in self:
            outputs = module(outputs)
        return torch.cat([inputs, outputs], 1)


BLOCKS = {kind.__name__: kind for kind in (Residual, Projected, Joined, torch.nn.Sequential)}
"""The blocks of modules, by their names in config.json."""


def load(folder: Path = HERE) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Return the network, ready to predict, and the preparation of its inputs."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    preparation = json.loads((folder / "preparation.json").read_text(encoding="utf-8"))
    if config["network"] is None:
        raise Unreadable("config.json does not describe the network: make it, and load model.safetensors")
    model = _chain(torch.nn.Sequential, config["network"])
    model.load_state_dict(_tensors(folder / "model.safetensors"))
    return model.eval(), preparation


def _chain(kind: type[torch.nn.Sequential], modules: list[Any]) -> torch.nn.Sequential:
    return kind(*(_module(*described) for described in modules))


def _module(name: str, arguments: list[Any], options: dict[str, Any]) -> torch.nn.Module:
    if name in BLOCKS:
        return _chain(BLOCKS[name], arguments)
    given = [tuple(one) if isinstance(one, list) else one for one in arguments]
    made: torch.nn.Module = getattr(torch.nn, name)(*given, **options)
    return made


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file: the length of its header, the header, and the values."""
    kinds = {"F64": torch.float64, "F32": torch.float32, "I64": torch.int64}
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    tensors = {}
    for name, told in header.items():
        if name != "__metadata__":
            start, stop = (8 + size + at for at in told["data_offsets"])
            values = torch.frombuffer(bytearray(content[start:stop]), dtype=kinds[told["dtype"]])
            tensors[name] = values.reshape(told["shape"])
    return tensors


# -- rows ----------------------------------------------------------------------------------------------

Cells = Any
"""The values of a column: a list of text (None if missing), or an array of numbers (NaN if missing)."""


def tables(path: Path, preparation: dict[str, Any]) -> Iterator[tuple[int, dict[str, Cells]]]:
    """Yield the columns of some rows after another, each time with the number of the first row."""
    end = path.name.lower().removesuffix(".gz")
    return _parquet(path, preparation) if end.endswith((".parquet", ".pq")) else _text(path, preparation)


def _text(path: Path, preparation: dict[str, Any]) -> Iterator[tuple[int, dict[str, Cells]]]:
    wanted = [column["name"] for column in preparation["prepared"]["columns"]]
    with _opened(path) as file:
        start = _first_row(file)
        csv.field_size_limit(1 << 24)
        delimiter = _delimiter(start, wanted)
        rows: Iterator[list[str]] = filter(None, csv.reader(chain(start, file), delimiter=delimiter))
        first = next(rows, [])
        names, number = [" ".join(field.split()) or f"column_{i}" for i, field in enumerate(first, 1)], 2
        if not preparation["header"] and not set(wanted) <= set(names):
            names = [f"column_{i}" for i in range(1, len(first) + 1)]
            if _has_values(dict(zip(names, first, strict=True)), preparation):
                rows, number = chain([first], rows), 1
        if lacking := [name for name in wanted if name not in names]:
            raise _lacks(path, lacking)
        if twice := [name for name in wanted if names.count(name) > 1]:
            raise Unreadable(f"{path} has several columns {', '.join(map(repr, twice[:10]))}")
        while some := list(islice(rows, ROWS_AT_ONCE)):
            odd = next((i for i, row in enumerate(some) if len(row) != len(names)), None)
            if odd is not None:
                raise Unreadable(
                    f"row {number + odd} has {len(some[odd])} fields, the first row {len(names)}"
                )
            yield number, dict(zip(names, map(list, zip(*some, strict=True)), strict=True))
            number += len(some)


def _lacks(path: Path, names: list[str]) -> Unreadable:
    more = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
    columns = "column" if len(names) == 1 else "columns"
    named = f"{columns} {', '.join(map(repr, names[:10]))}{more}"
    return Unreadable(f"{path} lacks the {named}, which the network was trained on")


def _opened(path: Path) -> TextIO:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    inflated: Any = gzip.open if gzipped else open
    with inflated(path, "rb") as file:
        wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    text: TextIO = inflated(path, "rt", encoding="utf-16" if wide else "utf-8-sig", newline="")
    return text


def _first_row(file: TextIO) -> list[str]:
    """Read the lines of the first row that is not empty: a newline may stand in quotes."""
    lines: list[str] = []
    for line in file:
        if lines or line.strip("\r\n"):
            lines.append(line)
            if sum(one.count('"') for one in lines) % 2 == 0:
                break
    return lines


def _delimiter(lines: list[str], wanted: list[str]) -> str:
    """Return the delimiter by which the first row names most of the columns, or else has most fields."""

    def score(mark: str) -> tuple[int, int]:
        fields = [" ".join(field.split()) for field in next(csv.reader(lines, delimiter=mark), [])]
        return len(set(wanted) & set(fields)), len(fields)

    return max(",;\t|", key=score)


def _has_values(row: dict[str, str], preparation: dict[str, Any]) -> bool:
    """Tell if a row has values, not names: a number, date or yes is where one belongs, or none belongs."""
    texts = [
        (row[column["name"]].strip(), column)
        for column in preparation["prepared"]["columns"]
        if column["kind"] != "category" and column["name"] in row
    ]
    for text, column in texts:
        try:
            if text not in MISSING:
                _number(text, column, preparation)
                return True
        except ValueError:
            pass
    return all(text in MISSING for text, _ in texts)


def _parquet(path: Path, preparation: dict[str, Any]) -> Iterator[tuple[int, dict[str, Cells]]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted, number = [column["name"] for column in preparation["prepared"]["columns"]], 1
    with pq.ParquetFile(path) as file:
        own = {" ".join(name.split()): name for name in file.schema_arrow.names}
        if lacking := [name for name in wanted if name not in own]:
            raise _lacks(path, lacking)
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=[own[name] for name in wanted]):
            columns = {}
            for name in wanted:
                cells = batch.column(own[name])
                if pa.types.is_dictionary(cells.type):
                    cells = cells.dictionary_decode()
                if pa.types.is_boolean(cells.type):
                    cells = pc.cast(cells, pa.string())  # the words true and false
                if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
                    columns[name] = cells.to_pylist()
                    continue
                if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
                    moments = pc.cast(cells, pa.timestamp("us"), safe=False)
                    values = pc.divide(pc.cast(pc.cast(moments, pa.int64()), pa.float64()), 1e6)
                else:
                    values = pc.cast(cells, pa.float64(), safe=False)
                columns[name] = np.array(pc.fill_null(values, float("nan")), dtype=np.float64)
            yield number, columns
            number += batch.num_rows


# -- features ------------------------------------------------------------------------------------------


def features(columns: dict[str, Cells], preparation: dict[str, Any], first: int = 1) -> torch.Tensor:
    """Return the inputs of the network (rows, features) for columns of the file, from row `first` on."""
    prepared = preparation["prepared"]
    learned = zip(prepared["fill"], prepared["mean"], prepared["deviation"], strict=True)
    parts = []
    for column in prepared["columns"]:
        cells = columns[column["name"]]
        if column["kind"] == "category":
            part = np.zeros((len(cells), column["width"]), dtype=np.float32)
            places, other = _places(column)
            at = np.array([places.get(word, other) for word in _words(cells)], dtype=np.int64)
            part[np.flatnonzero(at >= 0), at[at >= 0]] = 1
        else:
            fill, mean, deviation = next(learned)
            numbers = _numbers(cells, column, preparation, first)
            part = np.zeros((len(numbers), column["width"]), dtype=np.float32)
            missing = np.isnan(numbers)
            values = np.clip(np.where(missing, fill, numbers), -LARGEST, LARGEST) - mean
            part[:, 0] = np.clip(values / (deviation or np.inf), -FARTHEST, FARTHEST)
            if column["indicator"]:
                part[:, 1] = missing
        parts.append(part)
    return torch.from_numpy(np.concatenate(parts, axis=1))


def _places(column: dict[str, Any]) -> tuple[dict[str | None, int], int]:
    """Return the place of each category's feature, None for a missing one, and of others; -1 for none."""
    kept = column["categories"]
    places: dict[str | None, int] = {word: place for place, word in enumerate(kept)}
    places[None] = column["width"] - 1 if column["indicator"] else -1
    return places, len(kept) if column["other"] else -1


def _words(cells: Cells) -> Iterator[str | None]:
    for cell in cells if isinstance(cells, list) else cells.tolist():
        if isinstance(cell, float):  # of a column of numbers
            yield None if cell != cell else _as_word(cell)
        else:
            word = "" if cell is None else cell.strip()
            yield None if word in MISSING else word


def _as_word(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def _numbers(cells: Cells, column: dict[str, Any], preparation: dict[str, Any], first: int) -> Any:
    if not isinstance(cells, list):
        numbers = cells
    else:
        numbers = np.empty(len(cells))
        for i, cell in enumerate(cells):
            text = "" if cell is None else cell.strip()
            try:
                numbers[i] = np.nan if text in MISSING else _number(text, column, preparation)
            except ValueError:
                name, kind = column["name"], column["kind"]
                raise Unreadable(
                    f"row {first + i} has {text!r} in column {name!r}, which is {kind}"
                ) from None
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise Unreadable(f"column {column['name']!r} is infinite in row {first + int(infinite[0])}")
    return numbers


def _number(text: str, column: dict[str, Any], preparation: dict[str, Any]) -> float:
    name, kind = column["name"], column["kind"]
    if kind == "bool" and text.lower() in WORDS:
        return WORDS[text.lower()]
    if kind == "date" and name not in preparation["as_seconds"]:
        if (found := DATE.fullmatch(text)) is None:
            raise ValueError(text)
        return _seconds(found, day_first=name in preparation["day_first"])
    if "_" in text:  # which Python would take for a number
        raise ValueError(text)
    number = float(text.replace(",", ".") if name in preparation["decimal_commas"] else text)
    if kind == "bool" and number not in (0, 1):
        raise ValueError(text)
    return number


def _seconds(found: re.Match[str], *, day_first: bool) -> float:
    """Return the seconds since 1970; the year is the part of four digits."""
    year, month, day = int(found["a"]), int(found["b"]), int(found["c"])
    if len(found["c"]) == 4:
        year, month, day = (day, month, year) if day_first else (day, year, month)
    zone = (found["zone"] or "Z").replace("Z", "+00").replace(":", "")
    offset = (int(zone[1:3]) * 60 + int(zone[3:5] or 0)) * (-60 if zone[0] == "-" else 60)
    time = int(found["h"] or 0) * 3600 + int(found["m"] or 0) * 60 - offset
    days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    return days * 86400 + time + float((found["s"] or "0").replace(",", "."))


# -- predictions ---------------------------------------------------------------------------------------


@torch.no_grad()
def predict(path: Path, to: Path, folder: Path = HERE) -> int:
    """Write the predictions for the rows of a file to another one; return the number of rows."""
    model, preparation = load(folder)
    target, count = preparation["target"], 0
    classes, part = target["classes"], to.with_name(f"{to.name}.part")
    try:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            several = [f"prediction {one + 1}" for one in range(target["outputs"])]
            heads = several if len(several) > 1 else ["prediction"]
            writer.writerow([*heads, *(f"probability of {name}" for name in classes or ())])
            for first, columns in tables(path, preparation):
                outputs = model(features(columns, preparation, first)).double()
                count += len(outputs)
                if classes is None:
                    values = outputs * target["unit"] + target["mean"]
                    writer.writerows(values.tolist())
                    continue
                shares = outputs.softmax(dim=1)
                best = [classes[at] for at in outputs.argmax(dim=1).tolist()]
                writer.writerows([name, *row] for name, row in zip(best, shares.tolist(), strict=True))
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    return count


def main(arguments: list[str]) -> int:
    """Run the program; return its exit status."""
    if len(arguments) != 2:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        count = predict(*map(Path, arguments))
    except (Unreadable, OSError, EOFError, zlib.error, ValueError, csv.Error) as error:  # Arrow's are values
        sys.stderr.write(f"predict.py: {error}\n")
        return 2
    sys.stdout.write(f"{count:,} rows predicted, in {arguments[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
