"""The methods of a client that send datasets, show and delete them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import httpx
from pydantic import RootModel

from whichopt.service.client.calls import Calls
from whichopt.service.client.errors import ProblemError
from whichopt.service.client.files import opened
from whichopt.service.errors import WhichoptError, kind_of
from whichopt.service.states import DatasetState
from whichopt.service.views import CatalogEntry, DatasetProblem, DatasetView, FieldProblem, Page, Problem

POLL_S = 0.5
ANSWER_S = 60.0
"""Least seconds that the answer to a sending is waited for: the service reads some of the file before."""


class _Either(RootModel[DatasetView | CatalogEntry]):
    """A dataset that was sent, or a built-in one."""


class Datasets(Calls):
    """The part of a client that sends datasets, shows and deletes them."""

    def add_dataset(
        self,
        data: Any,
        target: str | None = None,
        *,
        name: str | None = None,
        task: Literal["classification", "regression", "language"] | None = None,
        split: str = "random",
        columns: Mapping[str, str] | None = None,
        header: bool | None = None,
        size: int | None = None,
        dry_run: bool = False,
        wait: bool = True,
        sent: Callable[[int, int], object] | None = None,
    ) -> DatasetView:
        """Send a table, images or a text, so that jobs can name them.

        A file is sent as it is, piece by piece: CSV (also compressed by gzip), Parquet, NPZ or NPY. A data
        frame of pandas, polars or another library that speaks Arrow is sent as Parquet, without its index;
        arrays are sent as NPZ or NPY. Images are a zip of PNG or JPEG files, in a folder for each class; or
        `folder:NAME`, a folder of such folders under the service's WHICHOPT_DATA_ROOT, which is read where it
        lies; or arrays `x` (N, C, H, W) and `y`. The same data with the same choices are not read again.

        Args:
            data: the path of a file, `folder:NAME`, a data frame, an array, or arrays by the names of their
                columns.
            target: the column to predict; None to infer it.
            name: the name for jobs; None for the file's, or for one that is made of the data's hash.
            task: what to predict, classes or numbers; None to infer it. `language` reads the file as a text,
                whose next character, or byte, is predicted.
            split: how rows are split: `random`, `column:NAME`, `group:NAME` or `time:NAME`.
            columns: kinds of columns that are not to be inferred (`numeric`, `category`, `bool`, `date`,
                `text`, `id`, or `leave_out`), by name.
            header: tells if the first row of a CSV file has the names of the columns; None to infer it.
            size: the width and height to which images are resized, in pixels; None for their own, if all have
                the same and it is at most 64, else 32.
            dry_run: True to only look at what is found; it is kept for an hour, see `keep_dataset`.
            wait: True to wait until it is read.
            sent: is told how many bytes of how many have been sent.

        Returns:
            The dataset with its columns, and how target, task and split were decided. If it was not waited
            for, its `state` may be `reading`.

        Raises:
            ProblemError: the table cannot be read (`unreadable_dataset`, `ambiguous_target`,
                `ambiguous_task`), is too large (`dataset_too_large`), or another one has its name
                (`dataset_exists`).
            UnsupportedMedia: the data are none of these, or the file's name does not tell its format.
            ImportError: a data frame is given, and pyarrow, which writes Parquet, is not installed.
            OSError: the file cannot be read.

        Example:
            >>> from pathlib import Path
            >>> rows = "".join(f"{n},{n % 7},{n % 2}\\n" for n in range(200))
            >>> _ = Path("numbers.csv").write_text("a,b,y\\n" + rows)
            >>> dataset = client.add_dataset("numbers.csv", target="y")
            >>> dataset.name, dataset.state.value, dataset.table.rows
            ('numbers', 'ready', 200)
        """
        with opened(data, name, task) as file:
            query = {
                "name": file.name,
                "target": target,
                "task": task,
                "split": split,
                "columns": None if columns is None else json.dumps(dict(columns)),
                "header": None if header is None else str(header).lower(),
                "size": size,
                "file": file.file,
                "folder": file.folder,
                "dry_run": "true" if dry_run else None,
            }
            usual = self._http.timeout
            view = self._tried(
                lambda: self._once(
                    DatasetView,
                    "POST",
                    "/v1/datasets",
                    params={key: value for key, value in query.items() if value is not None},
                    content=file.pieces(sent),
                    headers=file.headers,
                    timeout=httpx.Timeout(usual.connect, read=max(ANSWER_S, usual.read or 0.0)),
                ),
                repeatable=True,
            )
        while wait and view.state is DatasetState.READING:
            time.sleep(POLL_S)
            view = self._get(DatasetView, f"/v1/datasets/{view.name}")
        if wait and view.problem is not None:
            raise refusal(view.problem)
        return view

    def datasets(self) -> list[CatalogEntry]:
        """Return all datasets: the built-in ones, then those that were sent, newest first.

        Example:
            >>> "digits" in [entry.name for entry in client.datasets()]
            True
        """
        entries: list[CatalogEntry] = []
        cursor: str | None = None
        while True:
            page = self._get(Page[CatalogEntry], "/v1/datasets", cursor=cursor, limit=500)
            entries += page.items
            cursor = page.cursor
            if cursor is None:
                return entries

    def dataset(self, name: str) -> DatasetView | CatalogEntry:
        """Return a dataset: what was found in one that was sent, or the catalog's entry of a built-in one.

        Args:
            name: its name.

        Raises:
            ProblemError: there is none (`not_found`).

        Example:
            >>> client.dataset("wine").details["task"]
            'classification'
        """
        return self._get(_Either, f"/v1/datasets/{name}").root

    def keep_dataset(self, name: str) -> DatasetView:
        """Keep a dataset that was sent with `dry_run`, so that jobs can use it.

        Args:
            name: its name.

        Raises:
            ProblemError: there is none, or its hour is over (`not_found`), or it could not be read
                (`dataset_not_ready`).

        Example:
            >>> from pathlib import Path
            >>> rows = "".join(f"{n},{n % 7},{n % 2}\\n" for n in range(200))
            >>> _ = Path("kept.csv").write_text("a,b,y\\n" + rows)
            >>> client.add_dataset("kept.csv", dry_run=True).state.value
            'preview'
            >>> client.keep_dataset("kept").state.value
            'ready'
        """
        return self._call(DatasetView, "POST", f"/v1/datasets/{name}", repeatable=True)

    def delete_dataset(self, name: str) -> None:
        """Delete a dataset that was sent; jobs that used it keep their results.

        Args:
            name: its name.

        Raises:
            ProblemError: there is none (`not_found`), a job that has not ended uses it (`dataset_in_use`), or
                it is built in (`conflict`).

        Example:
            >>> from pathlib import Path
            >>> rows = "".join(f"{n},{n % 7},{n % 2}\\n" for n in range(200))
            >>> _ = Path("gone.csv").write_text("a,b,y\\n" + rows)
            >>> _ = client.add_dataset("gone.csv")
            >>> client.delete_dataset("gone")
            >>> "gone" in [entry.name for entry in client.datasets()]
            False
        """
        self._tried(lambda: self._sent("DELETE", f"/v1/datasets/{name}"), repeatable=False)


def refusal(problem: DatasetProblem) -> ProblemError:
    """Return the error for a dataset that could not be read, as if its sender had waited."""
    kind = kind_of(problem.code) or WhichoptError
    field = problem.column or (None if problem.row is None else "row")
    errors = [] if field is None else [FieldProblem(field=field, value=problem.row, detail=problem.detail)]
    return ProblemError(
        Problem(
            type=f"urn:whichopt:problem:{problem.code}",
            title=kind.title,
            status=kind.status,
            detail=problem.detail,
            code=problem.code,
            errors=errors,
        )
    )
