"""One trace id in five places: the request, the event's row, the worker's span and its log, what a receiver gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from project.shop.models import Product
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule
from rules_engine.tracing.kept import trace_id_of
from tests import http_server as behave
from tests.factories import make_endpoint
from tests.faults.processes import ROOT
from tests.faults.workers import Crew, Worker, eventually
from tests.http_server import MisbehavingServer
from tests.interop.test_traces import SECRET, named, spans
from tests.interop.test_traces import emptied as emptied
from tests.interop.test_traces import instrumented as instrumented
from tests.interop.test_traces import provider as provider
from tests.interop.test_traces import receiver as receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres("what it tells is the same on each")]


def buy(request: HttpRequest) -> HttpResponse:
    Product.objects.create(name=SECRET, slug="ada", price="1")
    return HttpResponse("bought")


urlpatterns = [path("buy/", buy)]


@pytest.fixture
def crew(process_environment: dict[str, str], tmp_path: Path, settings: Any) -> Iterator[Crew]:
    crew = Crew(process_environment, tmp_path)
    try:
        yield crew
    finally:
        crew.end()


def start_traced(crew: Crew, webhooks: Any) -> tuple[Worker, Path]:
    """A worker of Celery with the SDK, in a process of its own."""
    crew.webhooks = webhooks
    spans, log = crew.folder / "spans.jsonl", crew.folder / "traced.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.traced", str(spans)],
            cwd=ROOT,
            env={**os.environ, **crew.settings(HINTS=True)},
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    worker = Worker(process, log)
    crew.workers.append(worker)
    return worker, spans


def read(path_of_spans: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path_of_spans.read_text().splitlines()]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_one_trace_id_stands_in_five_places(
    crew: Crew, receiver: MisbehavingServer, instrumented: None, settings: Any
) -> None:
    settings.ROOT_URLCONF = __name__
    make_endpoint(url=receiver.url("/"))
    receiver.script(behave.answer(503))
    create_rule(model=Product, slug="r", actions=[("webhook", {"endpoint": "crm"})])
    worker, path_of_spans = start_traced(crew, settings.WEBHOOKS)
    eventually(lambda: " ready." in worker.log or worker.process.poll() is not None, lambda: worker.log, seconds=120)
    assert Client().get("/buy/").content == b"bought"
    crew.eventually(lambda: Execution.objects.filter(state="succeeded").exists() or worker.process.poll() is not None)
    crew.eventually(lambda: '"succeeded"' in worker.log)

    [request] = [span for span in spans() if span["kind"] == "SERVER"]
    event, execution = Event.objects.get(), Execution.objects.get()
    in_worker = read(path_of_spans)
    attempts = [span for span in in_worker if span["name"] == "process webhooks"]
    told_of_it = [line for line in lines(worker.log) if line.get("execution_id") == str(execution.pk)]
    # Whether it was sampled, and how its id was made, is for the SDK to say.
    headers = [sent.header("traceparent").rpartition("-")[0] for sent in receiver.requests]

    assert len(request["trace"]) == 32
    assert trace_id_of(event.trace) == request["trace"]
    assert [span["trace"] for span in attempts] == [request["trace"]] * 2
    assert [(line["outcome"], line["trace_id"]) for line in told_of_it] == [
        ("retryable", request["trace"]),
        ("succeeded", request["trace"]),
    ]
    assert headers == [f"00-{request['trace']}-{span['span']}" for span in attempts]
    assert told_of_it[1]["event_id"] == str(event.pk)
    assert told_of_it[1]["rule"] == "r"

    [created] = named("create webhooks")
    assert created["parent"] == request["span"]
    assert {span["parent"] for span in attempts} == {created["span"]}
    assert [span["attributes"]["rules_engine.outcome"] for span in attempts] == ["retryable", "succeeded"]
    assert [span["status"] for span in attempts] == ["ERROR", "UNSET"]
    claims = {span["span"]: span for span in in_worker if span["name"] == "receive webhooks"}
    assert all(claims[span["links"][0]]["links"] == [created["span"]] for span in attempts)
    # A claim is a part of Celery's task, whose span ends after it; its header comes along with our hints.
    parents = {claim["parent"] for claim in claims.values()}
    crew.eventually(
        lambda: parents <= {span["span"] for span in read(path_of_spans) if span["name"].startswith("run/")}
    )
    assert SECRET not in json.dumps([created, *in_worker])
