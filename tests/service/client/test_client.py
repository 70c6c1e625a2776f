"""The typed client, over a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import optuna
import pytest

from tests.builders.concluded_jobs import BODY, conclude, concluded_job, motley_job
from tests.builders.jobs import add_job, add_round, finish, must_claim
from tests.builders.services import KEY
from whichopt.service.client import Client, ProblemError, ServiceUnreachable
from whichopt.service.db import Store
from whichopt.service.spec import JobSpec
from whichopt.service.states import JobState, TrialState
from whichopt.service.views import JobView, TrialView


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, KEY) as client:
        yield client


def live(store: Store, job_id: int) -> threading.Thread:
    """Does what workers do, in a thread."""

    def work() -> None:
        for cohort_id in add_round(store, job_id):
            finish(store, must_claim(store, cohort_id))
            time.sleep(0.1)
        conclude(store, job_id)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_spec_is_linted_without_a_job(client: Client) -> None:
    (found,) = (one for one in client.lint({**BODY, "batch_size": 100}) if one.code == "few_steps")
    assert found.field == "batch_size"
    assert client.jobs().items == []


def test_a_job_from_submission_to_recommendation(client: Client, lite: Store) -> None:
    job = client.submit(BODY)
    assert job.state is JobState.QUEUED
    with lite.read() as tx:
        job_id = tx.jobs.id_of(job.id)
    assert job_id is not None
    working = live(lite, job_id)
    seen: list[JobView] = []
    ended = client.wait(job.id, on_change=seen.append)
    working.join()
    assert ended.state is JobState.SUCCEEDED
    assert seen[-1] == ended == client.job(job.id)
    assert client.wait(job.id) == ended
    assert client.recommendation(job.id).job_id == job.id
    assert [found.job_id for found in client.recommendations(dataset="wine").items] == [job.id]
    assert client.recommendations(dataset="digits").items == []


def test_a_spec_may_be_typed_or_plain(client: Client) -> None:
    typed = client.submit(JobSpec.model_validate(BODY), idempotency_key="one")
    assert client.submit(BODY, idempotency_key="one").id == typed.id
    with pytest.raises(ProblemError) as raised:
        client.submit({**BODY, "seed": 3}, idempotency_key="one")
    assert raised.value.problem.code == "idempotency_key_reused"
    assert [job.id for job in client.jobs().items] == [typed.id]
    assert client.jobs(state="failed").items == []
    assert client.jobs(verdict="winner").items == []
    assert client.jobs(text="no such").items == []
    assert client.cancel(typed.id).state is JobState.CANCELLED


def test_trials_come_from_all_pages(client: Client, lite: Store) -> None:
    _, uid = motley_job(lite)
    assert [trial.number for trial in client.trials(uid, page_size=2)] == [0, 1, 2, 3, 4]
    assert [trial.number for trial in client.trials(uid, state=TrialState.PRUNED)] == [1]


def test_events_are_typed_and_end_with_the_job(client: Client, lite: Store) -> None:
    _, uid = concluded_job(lite)
    events = list(client.events(uid))
    assert [type(event) for event in events] == [TrialView] * 4 + [JobView]
    last = events[-1]
    assert isinstance(last, JobView)
    assert list(client.events(uid, last_event_id=last.revision)) == [last]


@pytest.mark.parametrize("curves", [False, True])
def test_events_have_curves_if_they_are_asked_for(client: Client, lite: Store, curves: bool) -> None:
    _, uid = concluded_job(lite)
    sent = [event for event in client.events(uid, curves=curves) if isinstance(event, TrialView)]
    assert sent == [
        trial if curves else trial.model_copy(update={"curve": None}) for trial in client.trials(uid)
    ]


def test_a_broken_stream_is_resumed_where_it_broke(
    url: str, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks after every job event, and twice the service does not answer at all."""

    class Breaking(httpx.HTTPTransport):
        asked: list[str | None] = []  # noqa: RUF012

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if not request.url.path.endswith("/events"):
                return super().handle_request(request)
            self.asked.append(request.headers.get("Last-Event-ID"))
            if len(self.asked) in (2, 3):
                raise httpx.ConnectError("nobody there")
            answer = super().handle_request(request)
            assert isinstance(answer.stream, httpx.SyncByteStream)
            return httpx.Response(200, stream=Cut(answer.stream))

    class Cut(httpx.SyncByteStream):
        def __init__(self, stream: httpx.SyncByteStream) -> None:
            self.stream = stream

        def __iter__(self) -> Iterator[bytes]:
            for piece in self.stream:
                yield piece
                if b"event: job" in piece:
                    raise httpx.ReadError("cut")

        def close(self) -> None:
            self.stream.close()

    monkeypatch.setattr("whichopt.service.client.jobs.FIRST_PAUSE_S", 0.01)
    job_id, uid = add_job(lite)
    with Client(url, KEY, transport=Breaking()) as client:
        working = live(lite, job_id)
        events = list(client.events(uid))
        working.join()
    revisions = [event.revision for event in events if isinstance(event, JobView)]
    assert revisions == sorted(set(revisions)), "no job event came twice"
    assert len(revisions) >= 2
    assert {event.number for event in events if isinstance(event, TrialView)} == {0}
    assert Breaking.asked[0] is None
    assert Breaking.asked[1] == Breaking.asked[3] == str(revisions[0])


def test_a_service_that_stays_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whichopt.service.client.jobs.FIRST_PAUSE_S", 0.001)
    with Client("http://127.0.0.1:1", KEY) as client:
        with pytest.raises(ServiceUnreachable, match=r"the service at http://127.0.0.1:1 does not answer"):
            next(client.events("x"))
        with pytest.raises(httpx.TransportError):  # as earlier versions raised it
            client.jobs()


def test_a_refusal_carries_its_problem(client: Client, url: str) -> None:
    with pytest.raises(ProblemError) as raised:
        client.submit({**BODY, "optimizers": ["adamww"], "budget": {"trials": 4, "replicates": 2}})
    error = raised.value
    assert (error.problem.status, error.problem.code) == (422, "unknown_name")
    assert (error.field, error.value, error.nearest) == ("optimizers.0.name", "adamww", "adamw")
    assert "did you mean 'adamw'?" in str(error)
    with pytest.raises(ProblemError) as refused:
        client.submit({**BODY, "budget": {"trials": 10, "replicates": 3}})
    assert str(refused.value).splitlines()[1:] == [
        "  allowed for budget.trials: multiples of budget.replicates (3)"
    ]
    with pytest.raises(ProblemError) as several:
        client.submit({**BODY, "seed": -1, "device": "gpu"})
    assert "device" in str(several.value)
    assert "seed" in str(several.value)
    with Client(url, "wo_wrong") as stranger, pytest.raises(ProblemError, match="not known"):
        stranger.jobs()
    for ask in (client.job, client.cancel, client.recommendation, client.wait):
        with pytest.raises(ProblemError, match="no job"):
            ask("nothing")
    with pytest.raises(ProblemError, match="no job"):
        list(client.events("nothing"))


def test_a_refusal_in_other_words() -> None:
    proxy = httpx.MockTransport(lambda _: httpx.Response(502, text="<h1>Bad Gateway</h1>"))
    with Client("http://test", KEY, transport=proxy) as client, pytest.raises(ProblemError) as raised:
        client.jobs()
    assert (raised.value.problem.status, raised.value.problem.code) == (502, "not_whichopt")


def test_the_catalog_and_the_health(client: Client) -> None:
    assert "adabelief" in [entry.name for entry in client.catalog("optimizers")]
    assert client.catalog("tasks")[0].details["metric"] == "nll"
    assert client.health().status == "ok"
    assert client.ready().workers == {}


def test_studies_are_saved_whole(client: Client, lite: Store, tmp_path: Path) -> None:
    _, uid = motley_job(lite)
    path = tmp_path / "x.db"
    client.studies(uid, path)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    (name,) = optuna.get_all_study_names(storage)
    assert len(optuna.load_study(study_name=name, storage=storage).trials) == 5
    storage.remove_session()
    storage.engine.dispose()
    before = path.read_bytes()
    with pytest.raises(ProblemError):
        client.studies("nothing", path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if "x.db" in each.name] == ["x.db"]
