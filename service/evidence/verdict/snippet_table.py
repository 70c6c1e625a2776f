"""The part of a snippet that reads a person's own file: its columns as features, and what is predicted.

It is code with pandas, for which each value of a text is text first: how a column is read was decided when
the file was sent, and is written out. It learns from training rows alone, as the job's preparation does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from whichopt.service.uploads import Kind, Upload, Written

MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "?", "-")
"""Fields that stand for a missing value (`whichopt.workers.intake.words.MISSING`)."""

FARTHEST = 10.0
"""Bound on a standardized number (`whichopt.workers.workload.columns.FARTHEST`)."""

WIDTH = 90
"""Characters of a line of data."""

NUMBERS = (
    "def numbers(name, kind):",
    '    """The column as numbers: 1 for a yes and 0 for a no, dates as seconds since 1970."""',
    "    cells = table[name]",
)
BOOLS = (
    '    if kind == "bool":',
    '        words = {"false": 0, "no": 0, "n": 0, "f": 0, "off": 0}',
    '        words |= {"true": 1, "yes": 1, "y": 1, "t": 1, "on": 1}',
    "        cells = cells.map(lambda cell: words.get(str(cell).lower(), cell))",
)
DATES = (
    '    if kind == "date":',
    "        moments = {cell: pd.to_datetime(cell, utc=True{first}) for cell in cells.dropna().unique()}",
    "        return cells.map({cell: moment.timestamp() for cell, moment in moments.items()}).astype(float)",
)
WORD = (
    "",
    "",
    "def word(cell):",
    '    """The value as its category is written: a whole number has no point."""',
    "    if isinstance(cell, str) or pd.isna(cell):",
    "        return cell",
    "    if isinstance(cell, bool):",
    "        return str(cell).lower()",
    "    cell = float(cell)",
    "    return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)",
)
"""Of a file whose values have types."""
COMMAS = ("    if name in decimal_commas:", '        cells = cells.str.replace(",", ".")')


def reading(upload: Upload, written: Written) -> list[str]:
    """Return the lines that read the file as `table`, and `numbers`, a function for its columns."""
    kinds = {column.kind for column in upload.columns} | {upload.target_kind}
    typed = written.format != "text" and Kind.CATEGORY in kinds
    words = [*_words(written), *(WORD if typed else ())]
    return [*_read(upload, written), *words, *_numbers(upload, written)]


def features(upload: Upload, written: Written) -> list[str]:
    """Return the lines that make `features` of the table; `train` are the training rows."""
    columns = {column.name: column.kind.value for column in upload.columns}
    lines = [
        "",
        "# What becomes of the columns is learned from training rows.",
        f"columns = {_data(columns)}",
    ]
    if Kind.CATEGORY in columns.values():
        kept = {one.name: list(one.categories) for one in upload.columns if one.kind is Kind.CATEGORY}
        others = [column.name for column in upload.columns if column.other]
        lines += [
            "# These have a feature of their own, and others a common one.",
            f"categories = {_data(kept)}",
            f"with_others = {_data(others)}",
        ]
    indicated = [column.name for column in upload.columns if column.indicator]
    return [
        *lines,
        "# A feature of these tells that the value is missing.",
        f"with_missing = {_data(indicated)}",
        "features = []",
        "for name, kind in columns.items():",
        *_categories(upload, written),
        *_standardized(upload),
        "    if name in with_missing:",
        "        features.append(table[name].isna())",
        'features = torch.tensor(np.column_stack(features).astype("float32"))',
    ]


def target(upload: Upload, written: Written) -> list[str]:
    """Return the lines that make `labels` of the target: the number of its class, or a number."""
    name = upload.target
    if upload.classes is None:
        return [f"labels = numbers({name!r}, {_kind(upload.target_kind)!r}).to_numpy()"]
    if upload.target_kind is Kind.BOOL:
        return [f'labels = numbers({name!r}, "bool").to_numpy().astype(int)']
    if upload.target_kind is Kind.NUMERIC:
        found, classes = f'numbers({name!r}, "numeric")', [float(one) for one in upload.classes]
        return [f"classes = {_data(classes)}", f"labels = pd.Categorical({found}, categories=classes).codes"]
    return [
        f"classes = {_data(list(upload.classes))}",
        f"labels = pd.Categorical({_cells(repr(name), written)}, categories=classes).codes",
    ]


# -- the file ------------------------------------------------------------------------------------------


def _read(upload: Upload, written: Written) -> list[str]:
    name = upload.file.name
    if written.format == "text":
        return _read_text(name or "data.csv", written)
    if written.format == "parquet":
        comment = "" if name else "  # your data frame, as to_parquet saves it"
        return [f"table = pd.read_parquet({name or 'data.parquet'!r}){comment}"]
    return _read_arrays(name or "data.npz", upload)


def _read_text(name: str, written: Written) -> list[str]:
    encoding = "utf-16" if (written.encoding or "").startswith("utf-16") else "utf-8-sig"
    header = "" if written.header else ", header=None"
    return [
        "table = pd.read_csv(",
        f"    {name!r}, sep={written.delimiter or ','!r}, encoding={encoding!r}{header},",
        "    dtype=str, keep_default_na=False,  # how a column is read is said below",
        ")",
        *([] if written.header else ['table.columns = [f"column_{i + 1}" for i in table.columns]']),
    ]


def _read_arrays(name: str, upload: Upload) -> list[str]:
    loaded = f"np.load({name!r})"
    if name.endswith(".npy"):
        return [
            f"table = pd.DataFrame({loaded})",
            "if isinstance(table.columns[0], int):",
            '    table.columns = [f"column_{i + 1}" for i in table.columns]',
        ]
    numbered = all(column.name[:1] == "x" and column.name[1:].isdigit() for column in upload.columns)
    if not (numbered and upload.target == "y"):
        return [f"table = pd.DataFrame(dict({loaded}))"]
    return [
        f"arrays = {{name.lower(): array for name, array in {loaded}.items()}}",
        'parts = ["", "_train", "_validation", "_valid", "_val", "_test"]',
        "tables = []",
        "for part in parts:",
        '    if f"x{part}" in arrays:',
        '        x = arrays[f"x{part}"].reshape(len(arrays[f"x{part}"]), -1)',
        '        tables.append(pd.DataFrame({f"x{i}": x[:, i] for i in range(x.shape[1])}))',
        '        tables[-1]["y"], tables[-1]["part"] = arrays[f"y{part}"].reshape(-1), part[1:]',
        "table = pd.concat(tables, ignore_index=True)",
    ]


def _words(written: Written) -> list[str]:
    """Return the lines by which names and text have no blanks around them, and what is missing is missing."""
    names = (
        'table.columns = [" ".join(str(name).split()) or f"column_{i}" for i, name in enumerate(table, 1)]'
    )
    strip = "table = table.apply(lambda column: column.str.strip())"
    if written.format != "text":
        strip = "table = table.map(lambda cell: cell.strip() if isinstance(cell, str) else cell)"
    return [
        *([names] if written.header else []),
        f"missing = {_data(list(MISSING))}",
        strip,
        "table = table.mask(table.isin(missing))",
    ]


def _numbers(upload: Upload, written: Written) -> list[str]:
    kinds = {column.kind for column in upload.columns} | {upload.target_kind, upload.split_kind}
    if not kinds & {Kind.NUMERIC, Kind.BOOL, Kind.DATE}:
        return []
    first = ", dayfirst=name in day_first" if written.day_first else ""
    listed = {name: getattr(written, name) for name in ("decimal_commas", "day_first", "as_seconds")}
    dates = [line.replace("{first}", first) for line in DATES]
    if written.as_seconds:
        dates[0] = '    if kind == "date" and name not in as_seconds:'
    return [
        *(f"{name} = {_data(list(columns))}" for name, columns in listed.items() if columns),
        "",
        "",
        *NUMBERS,
        *(BOOLS if Kind.BOOL in kinds else ()),
        *(dates if Kind.DATE in kinds else ()),
        *(COMMAS if written.decimal_commas else ()),
        "    return pd.to_numeric(cells).astype(float)",
        "",
        "",
    ]


def _categories(upload: Upload, written: Written) -> list[str]:
    if not any(column.kind is Kind.CATEGORY for column in upload.columns):
        return []
    return [
        '    if kind == "category":',
        f"        cells = {_cells('name', written)}",
        "        features += [cells == word for word in categories[name]]",
        "        if name in with_others:",
        "            features.append(cells.notna() & ~cells.isin(categories[name]))",
    ]


def _cells(name: str, written: Written) -> str:
    """Return the code for the words of a column."""
    return f"table[{name}]{'' if written.format == 'text' else '.map(word)'}"


def _standardized(upload: Upload) -> Iterable[str]:
    kinds = {column.kind for column in upload.columns}
    margin = "    "
    if Kind.CATEGORY in kinds:
        if kinds == {Kind.CATEGORY}:
            return
        yield "    else:"
        margin = "        "
    yield f"{margin}values = numbers(name, kind)"
    yield f"{margin}known = values.iloc[train].dropna()"
    if Kind.BOOL in kinds:
        yield f'{margin}if kind == "bool":'
        yield f"{margin}    values = values.fillna(known.mode().iloc[0])"
        yield f"{margin}else:"
    inner = f"{margin}    " if Kind.BOOL in kinds else margin
    yield f"{inner}values = values.fillna(known.median())"
    yield f"{inner}mean, deviation = values.iloc[train].mean(), values.iloc[train].std(ddof=0)"
    yield f"{inner}deviation = deviation if deviation > 1e-10 * abs(mean) else np.inf  # if all are alike"
    yield f"{inner}values = ((values - mean) / deviation).clip(-{FARTHEST!r}, {FARTHEST!r})"
    yield f"{margin}features.append(values)"


def _kind(kind: Kind | None) -> str:
    return (kind or Kind.NUMERIC).value


def _data(value: Any) -> str:
    """Return a list or a dictionary as code; one that is long has several lines."""
    if len(repr(value)) <= WIDTH:
        return repr(value)
    if isinstance(value, dict):
        items = [f"{name!r}: {_data(one)},".replace("\n", "\n    ") for name, one in value.items()]
        return "\n    ".join(["{", *items]) + "\n}"
    lines = [""]
    for item in value:
        if len(lines[-1]) + len(repr(item)) > WIDTH:
            lines.append("")
        lines[-1] += f"{', ' if lines[-1] else ''}{item!r}"
    return "\n    ".join(["[", *(f"{line}," for line in lines)]) + "\n]"
