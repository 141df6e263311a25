"""RQ: a job is pickled as (function's name, instance, arguments), its meta and its result too.

Every Queue, Worker and Job takes `serializer=plainpickle`. RQ itself does not pass it on to each
job that it reads, so the functions of its `DefaultSerializer` have to be replaced as well.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import pytest
import redis
import rq.serializers
from rq.exceptions import DeserializationError
from rq.group import Group
from rq.job import Job
from rq.results import Result

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals
from tests.libraries.jobs import Basket, WithBaskets, a_class, checked_out

STOCK = rq.serializers.DefaultSerializer
NAME = "tests.libraries.jobs.plainpickle"  # a name needs a dot, and plainpickle has none
# A worker in a process of its own forks while pytest's threads are there.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


class NoCommands:
    """Does without the channel for commands, whose thread may take a second to end."""

    def subscribe(self) -> None: ...


class Worker(NoCommands, rq.Worker):  # type: ignore[misc]
    """Forks for each job."""


class SimpleWorker(NoCommands, rq.SimpleWorker):  # type: ignore[misc]
    """Runs each job in this process."""


class SpawnWorker(NoCommands, rq.worker.SpawnWorker):  # type: ignore[misc]
    """Starts a new Python for each job."""


def work(redis_client: redis.Redis, serializer: Any, kind: Any = SimpleWorker) -> None:
    kind(["default"], connection=redis_client, serializer=serializer).work(
        burst=True, logging_level="CRITICAL"
    )


def enqueued(redis_client: redis.Redis, serializer: Any, *call: Any, **options: Any) -> str:
    job = rq.Queue(connection=redis_client, serializer=serializer).enqueue(*call, **options)
    return str(job.id)


def fetched(redis_client: redis.Redis, serializer: Any, identity: str) -> Job:
    return Job.fetch(identity, connection=redis_client, serializer=serializer)


@pytest.mark.parametrize(
    ("writer", "worker", "reader"),
    [
        (plainpickle, plainpickle, plainpickle),
        (STOCK, plainpickle, STOCK),
        (plainpickle, STOCK, plainpickle),
    ],
    ids=["plainpickle only", "plainpickle in the worker", "stock pickle in the worker"],
)
@pytest.mark.parametrize("kind", [Worker, SimpleWorker])
def test_a_job_goes_through_a_worker_and_its_result_comes_back(
    redis_client: redis.Redis, writer: Any, worker: Any, reader: Any, kind: Any
) -> None:
    identity = enqueued(
        redis_client, writer, checked_out, SESSION, note="gift", meta={"session": SESSION}
    )
    work(redis_client, worker, kind)
    job = fetched(redis_client, reader, identity)
    assert job.is_finished, job.latest_result().exc_string
    assert job.return_value()["note"] == "gift"
    assert_session(job.return_value()["session"])
    assert_session(job.meta["session"])
    assert_session(job.args[0])


def test_a_canary_among_the_arguments_sings_under_stock_pickle_only_and_fails_the_job(
    redis_client: redis.Redis, canary: Canary, refusals: Refusals
) -> None:
    for kind in (Worker, SimpleWorker):
        identity = enqueued(redis_client, STOCK, checked_out, canary, note="")
        work(redis_client, plainpickle, kind)
        job = fetched(redis_client, plainpickle, identity)
        assert job.is_failed
        with pytest.raises(DeserializationError) as caught:
            job.args  # noqa: B018
        assert isinstance(caught.value.__cause__, plainpickle.ForbiddenGlobal)
        assert not canary.sang()
        assert set(refusals()) == set(ATTACK)
    enqueued(redis_client, STOCK, checked_out, canary, note="")
    work(redis_client, STOCK)
    assert canary.sang()


def test_a_canary_in_place_of_the_job_sings_under_stock_pickle_only(
    redis_client: redis.Redis, canary: Canary, refusals: Refusals
) -> None:
    identity = enqueued(redis_client, STOCK, checked_out, 1, note="")
    for stored in (STOCK.dumps(canary), zlib.compress(STOCK.dumps(canary))):
        redis_client.hset(Job.key_for(identity), "data", stored)
        with pytest.raises(DeserializationError):
            fetched(redis_client, plainpickle, identity).args  # noqa: B018
        assert not canary.sang()
        assert refusals() == ATTACK
        with pytest.raises(DeserializationError):
            fetched(redis_client, STOCK, identity).args  # noqa: B018
        assert canary.sang()


def test_a_canary_in_the_meta_sings_under_stock_pickle_only(
    redis_client: redis.Redis, canary: Canary, refusals: Refusals
) -> None:
    identity = enqueued(redis_client, STOCK, checked_out, 1, note="", meta={"user": canary})
    job = fetched(redis_client, plainpickle, identity)
    assert set(job.meta) == {"unserialized"}  # what RQ makes of any error here
    with pytest.raises(plainpickle.ForbiddenGlobal):
        job.get_meta()
    assert not canary.sang()
    assert refusals() == ATTACK * 2
    fetched(redis_client, STOCK, identity)
    assert canary.sang()


def test_a_canary_in_a_result_sings_under_stock_pickle_only(
    redis_client: redis.Redis, canary: Canary, refusals: Refusals
) -> None:
    identity = enqueued(redis_client, STOCK, checked_out, 1, note="")
    stream = Result.get_key(identity)
    redis_client.xadd(stream, {"type": 1, "return_value": base64.b64encode(STOCK.dumps(canary))})
    job = fetched(redis_client, plainpickle, identity)
    for read in (job.return_value, job.latest_result, job.results):
        with pytest.raises(plainpickle.ForbiddenGlobal):
            read()
    assert not canary.sang()
    assert refusals() == ATTACK * 3
    fetched(redis_client, STOCK, identity).return_value()
    assert canary.sang()


@pytest.mark.filterwarnings("ignore:job.result is deprecated:DeprecationWarning")
def test_a_canary_in_the_result_field_of_old_versions_sings_under_stock_pickle_only(
    redis_client: redis.Redis, canary: Canary, refusals: Refusals
) -> None:
    identity = enqueued(redis_client, STOCK, checked_out, 1, note="")
    redis_client.hset(Job.key_for(identity), "result", STOCK.dumps(canary))
    job = fetched(redis_client, plainpickle, identity)
    job._result = None
    with pytest.raises(plainpickle.ForbiddenGlobal):
        job.result  # noqa: B018
    assert not canary.sang()
    assert refusals() == ATTACK * 2
    fetched(redis_client, STOCK, identity)
    assert canary.sang()


def test_a_method_of_an_instance_runs_where_a_policy_registers_its_class(
    redis_client: redis.Redis,
) -> None:
    basket = Basket([5, 7])
    identity = enqueued(redis_client, STOCK, basket.total, 2)
    work(redis_client, plainpickle)
    assert fetched(redis_client, plainpickle, identity).is_failed

    for writer in (STOCK, WithBaskets):
        identity = enqueued(redis_client, writer, basket.total, 2)
        work(redis_client, WithBaskets)
        assert fetched(redis_client, WithBaskets, identity).return_value() == 10


def test_an_argument_that_could_not_be_read_back_is_refused_when_it_is_enqueued(
    redis_client: redis.Redis, canary: Canary
) -> None:
    with pytest.raises(plainpickle.UnreadableValue, match=r"\[2\]\[0\]\.user"):
        enqueued(redis_client, plainpickle, checked_out, {"user": canary}, note="")
    assert redis_client.keys("rq:job:*") == []


def test_a_result_that_could_not_be_read_back_is_not_stored(redis_client: redis.Redis) -> None:
    identity = enqueued(redis_client, plainpickle, a_class)
    work(redis_client, plainpickle)
    job = fetched(redis_client, plainpickle, identity)
    assert job.return_value() == "Unserializable return value"  # what RQ says of any error here


def test_a_job_is_a_function_s_name_and_rq_calls_whatever_it_names(
    redis_client: redis.Redis, canary: Canary, refusals: Refusals
) -> None:
    """What no serializer can help: who writes to the queue chooses what workers run."""
    function, arguments = canary.__reduce__()
    enqueued(redis_client, plainpickle, f"os.{function.__name__}", *arguments)
    work(redis_client, plainpickle)
    assert canary.sang()
    assert refusals() == []


def test_the_command_line_takes_plainpickle_by_the_name_of_a_module_that_imports_it() -> None:
    assert rq.serializers.resolve_serializer(NAME) is plainpickle


@pytest.mark.skipif(rq.VERSION < "3", reason="before RQ 3 a spawned worker gets no serializer")
def test_a_worker_that_spawns_is_given_that_name_too(
    redis_client: redis.Redis, canary: Canary
) -> None:
    for serializer, argument, sings in ((NAME, SESSION, 0), (NAME, canary, 0), (None, canary, 1)):
        identity = enqueued(redis_client, STOCK, checked_out, argument, note="gift")
        work(redis_client, serializer, SpawnWorker)
        job = fetched(redis_client, plainpickle, identity)
        assert job.is_finished is (argument is SESSION)
        assert canary.sang() == sings


def test_a_canary_in_a_group_is_kept_quiet_by_replacing_the_default_serializer_only(
    redis_client: redis.Redis,
    canary: Canary,
    refusals: Refusals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = rq.Queue(connection=redis_client, serializer=plainpickle)
    data = rq.Queue.prepare_data(checked_out, (SESSION,), {"note": ""})
    group = Group.create(redis_client, "checkouts")
    (job,) = group.enqueue_many(queue, [data])
    redis_client.hset(job.key, "meta", STOCK.dumps(canary))
    with monkeypatch.context() as patch:
        patch.setattr(STOCK, "loads", staticmethod(plainpickle.loads))
        patch.setattr(STOCK, "dumps", staticmethod(plainpickle.dumps))
        (again,) = group.get_jobs()
        assert_session(again.args[0])
        assert not canary.sang()
        assert refusals() == ATTACK
    group.get_jobs()
    assert canary.sang()
