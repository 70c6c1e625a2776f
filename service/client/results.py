"""The methods of a client that read the results of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from whichopt.service.client.calls import Calls
from whichopt.service.client.errors import ProblemError
from whichopt.service.evidence.report.beside import beside_name
from whichopt.service.evidence.report.document import Report
from whichopt.service.views import FunctionView, JobForecast, Page, PluginView, Recommendation, SampleView

NOT_FOUND = 404
TABLES = (".csv", ".jsonl")
"""The ends of the names of files that hold trials."""


class Results(Calls):
    """The part of a client that reads the results of jobs."""

    def recommendation(self, job_id: str) -> Recommendation:
        """Return the conclusion of a job: which config to deploy, how sure that is, and what it cost.

        Args:
            job_id: the job's whole id.

        Raises:
            ProblemError: there is no such job (`not_found`), or it has no recommendation, not yet or never
                (`no_recommendation`).

        Example:
            >>> recommendation = client.recommendation(job.id)
            >>> sorted(finalist.optimizer for finalist in recommendation.ranking)
            ['adabelief', 'sgd']
        """
        return self._get(Recommendation, f"/v1/jobs/{job_id}/recommendation")

    def forecast(self, job_id: str) -> JobForecast:
        """Return the forecast of a job: its progress, and the changes to expect from more trials or seeds.

        Args:
            job_id: the job's whole id.

        Raises:
            ProblemError: there is no such job (`not_found`).

        Example:
            >>> client.forecast(job.id).seconds_left is None  # as the job has ended
            True
        """
        return self._get(JobForecast, f"/v1/jobs/{job_id}/forecast")

    def recommendations(
        self,
        *,
        task: str | None = None,
        dataset: str | None = None,
        model: str | None = None,
        function: str | None = None,
        metric: str | None = None,
        optimizer: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> Page[Recommendation]:
        """Return a page of the recommendations for workloads like this one, newest first.

        Args:
            task: the task's name; None for any, as for the other names.
            dataset: the dataset's name.
            model: the model's name.
            function: the name of a person's own training function.
            metric: the metric that the job was judged by.
            optimizer: the name of an optimizer that is recommended.
            cursor: the page before this one gave it; None for the first page.
            limit: the most recommendations on the page, from 1 to 100.

        Raises:
            ProblemError: the catalog has no such name (`unknown_name`), or the limit is out of its range
                (`invalid_query`).

        Example:
            >>> page = client.recommendations(dataset="wine")
            >>> page.items[0].job_id == job.id
            True
        """
        return self._get(
            Page[Recommendation],
            "/v1/recommendations",
            task=task,
            dataset=dataset,
            model=model,
            function=function,
            metric=metric,
            optimizer=optimizer,
            cursor=cursor,
            limit=limit,
        )

    def functions(self) -> list[FunctionView]:
        """Return people's own training functions that jobs may name, and the live workers that offer them.

        Example:
            >>> [function.name for function in client.functions()]
            []
        """
        return self._get(Page[FunctionView], "/v1/functions").items

    def plugins(self) -> list[PluginView]:
        """Return the plug-ins that are installed where live workers run, and what is wrong with any of them.

        Example:
            >>> [plugin.name for plugin in client.plugins()]
            []
        """
        return self._get(Page[PluginView], "/v1/plugins").items

    def samples(self, job_id: str) -> list[SampleView]:
        """Return what the finalists' networks have made on the first fresh seed: text, points or images.

        Args:
            job_id: the job's whole id.

        Raises:
            ProblemError: there is no such job (`not_found`).

        Example:
            >>> client.samples(job.id)  # a classifier makes nothing
            []
        """
        return self._get(Page[SampleView], f"/v1/jobs/{job_id}/samples").items

    def report(self, job_id: str) -> Report:
        """Return the evidence behind a job's recommendation, with all raw results.

        Args:
            job_id: the job's whole id.

        Raises:
            ProblemError: there is no such job (`not_found`), or it has no recommendation, not yet or never
                (`no_recommendation`).

        Example:
            >>> from whichopt import verify
            >>> verify(client.report(job.id)).outcome
            'confirmed'
        """
        found = self._get(Report, f"/v1/jobs/{job_id}/report", format="json")
        return found if found.examples is None else found.with_examples(self._examples(job_id))

    def save_report(self, job_id: str, to: Path, *, form: Literal["html", "json"] = "html") -> None:
        """Save a job's report as a file; a file of that name is replaced as a whole.

        If the job has too many values by example for the report, they are saved in a file beside it, under
        the name that the report has for it.

        Args:
            job_id: the job's whole id.
            to: the file, in a folder that exists.
            form: `html` for a page, which holds the raw results as well; `json` for these alone.

        Raises:
            ProblemError: there is no such job (`not_found`), or it has no recommendation, not yet or never
                (`no_recommendation`).
            IsADirectoryError: `to` is a folder.
            FileNotFoundError: there is no folder for the file.

        Example:
            >>> from pathlib import Path
            >>> client.save_report(job.id, Path("report.json"), form="json")
            >>> Path("report.json").exists()
            True
        """
        self._save(f"/v1/jobs/{job_id}/report", to, format=form)
        if content := self._examples(job_id):
            (to.parent / beside_name(job_id)).write_bytes(content)

    def _examples(self, job_id: str) -> bytes:
        """Return the content of the file beside the job's report; empty if there is none."""
        path = f"/v1/jobs/{job_id}/report/examples"
        try:
            return self._tried(lambda: self._sent("GET", path, timeout=None), repeatable=True)
        except ProblemError as error:
            if error.problem.status == NOT_FOUND:
                return b""  # a service of an earlier version
            raise

    def studies(self, job_id: str, to: Path) -> None:
        """Save a job's studies as Optuna studies in an SQLite file; one of that name is replaced as a whole.

        Args:
            job_id: the job's whole id.
            to: the file, in a folder that exists.

        Raises:
            ProblemError: there is no such job (`not_found`).
            IsADirectoryError: `to` is a folder.
            FileNotFoundError: there is no folder for the file.

        Example:
            >>> from pathlib import Path
            >>> import optuna
            >>> client.studies(job.id, Path("studies.db"))
            >>> len(optuna.get_all_study_names("sqlite:///studies.db"))
            4
        """
        self._save(f"/v1/jobs/{job_id}/studies.db", to)

    def save_trials(self, job_id: str, to: Path, *, curves: bool = False) -> None:
        """Save all trials of a job as a table; a file of that name is replaced as a whole.

        Each trial is a line, with its config and its metrics in columns such as `config.lr` and
        `metrics.test.nll`, which `pandas.read_csv(to)` or `pandas.read_json(to, lines=True)` reads.

        Args:
            job_id: the job's whole id.
            to: the file, in a folder that exists. Its name ends with `.csv` for CSV, `.jsonl` for JSON lines.
            curves: True to have the points of each trial's curve (step, examples, value); only JSON lines
                can hold them.

        Raises:
            ValueError: the name of the file ends with neither, or CSV is to have curves.
            ProblemError: there is no such job (`not_found`).
            IsADirectoryError: `to` is a folder.
            FileNotFoundError: there is no folder for the file.

        Example:
            >>> from pathlib import Path
            >>> client.save_trials(job.id, Path("trials.csv"))
            >>> Path("trials.csv").read_text().partition(",config.")[0]
            'id,optimizer,phase,origin,replicate,number,state,value'
        """
        if to.suffix not in TABLES:
            raise ValueError(f"the name of {to.name!r} must end with one of {', '.join(TABLES)}")
        if curves and to.suffix != ".jsonl":
            raise ValueError(f"{to.name!r} cannot hold curves; give a file that ends with .jsonl")
        self._save(f"/v1/jobs/{job_id}/trials{to.suffix}", to, **({"curves": "true"} if curves else {}))
