"""One trace through all processes, beside OpenTelemetry's instrumentations of Django, Celery and psycopg."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from project.shop.models import Category, Product
from rules_engine.models import Event, Execution, HeldMatch
from rules_engine.outbox.releasing import release_due
from rules_engine.testing import create_rule
from rules_engine.tracing.kept import trace_id_of
from rules_engine.tracing.spans import look_anew
from rules_engine.work import queues
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from tests.interop.traced import told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres("what it tells is the same on each")]

SECRET = "Ada's own product"
EXPORTER = InMemorySpanExporter()


@cache
def listen() -> None:
    """Once in a process, however many modules ask: a second one would hear each span twice."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(EXPORTER))


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    listen()


@pytest.fixture(autouse=True)
def emptied() -> None:
    EXPORTER.clear()
    look_anew()


@pytest.fixture
def receiver(settings: Any) -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        allowed = {"ALLOW_HTTP": True, "ALLOWED_NETWORKS": ["127.0.0.0/8"], "ALLOWED_PORTS": [running.port]}
        settings.WEBHOOKS = allowed
        yield running


@pytest.fixture
def instrumented() -> Iterator[None]:
    DjangoInstrumentor().instrument()
    PsycopgInstrumentor().instrument(skip_dep_check=True)
    try:
        yield
    finally:
        PsycopgInstrumentor().uninstrument()
        DjangoInstrumentor().uninstrument()


def spans() -> list[dict[str, Any]]:
    return [told(span) for span in EXPORTER.get_finished_spans()]


def named(name: str) -> list[dict[str, Any]]:
    return [span for span in spans() if span["name"] == name]


def act(*names: str) -> None:
    for name in names or ("rules",):
        queues.drain(name, seconds=30)


def test_a_chain_a_delay_and_a_replay_stay_in_the_trace(instrumented: None) -> None:
    changes = {"model": "shop.category", "values": [{"field": "name", "value": "new"}]}
    create_rule(model=Product, actions=[("create_object", changes, {"delay": 60})])
    create_rule(model=Category, actions=[("log_message", {"message": "x"})])
    with trace.get_tracer("test").start_as_current_span("outside"):
        Product.objects.create(name="p", slug="p", price="1")
    Execution.objects.update(next_attempt_at="2000-01-01T00:00:00Z")
    act()
    act()
    assert Category.objects.exists()
    Execution.objects.filter(kind="log_message").replay()
    act()
    [outside] = named("outside")
    assert {trace_id_of(event.trace) for event in Event.objects.all()} == {outside["trace"]}
    processed = named("process rules")
    assert {span["trace"] for span in processed} == {outside["trace"]}
    kinds = [span["attributes"]["rules_engine.kind"] for span in processed]
    assert kinds == ["create_object", "log_message", "log_message"]
    later = Event.objects.get(model="shop.category")
    assert {span["parent"] for span in processed if span["attributes"]["rules_engine.event.id"] == str(later.pk)} == {
        str(later.trace).split("-")[2]
    }
    of_chain = next(s for s in named("create rules") if s["attributes"]["rules_engine.event.id"] == str(later.pk))
    assert of_chain["parent"] == processed[0]["span"]


def test_a_released_match_is_a_part_of_its_events_trace(instrumented: None) -> None:
    create_rule(
        model=Product, actions=[("log_message", {"message": "x"})], throttle_count=5, throttle_seconds=60, slug="held"
    )
    with trace.get_tracer("test").start_as_current_span("outside"):
        Product.objects.create(name="p", slug="p", price="1")
    assert release_due() == 1
    assert HeldMatch.objects.get().state == HeldMatch.State.RELEASED
    act()
    assert [span["trace"] for span in named("process rules")] == [named("outside")[0]["trace"]]


def test_what_is_done_together_is_linked(instrumented: None) -> None:
    create_rule(model=Product, actions=[("log_message", {"message": "x"})])
    for number in range(3):
        with trace.get_tracer("test").start_as_current_span("outside"):
            Product.objects.create(name="p", slug=f"p{number}", price="1")
    act()
    attempts = named("process rules")
    assert [span["trace"] for span in attempts] == [span["trace"] for span in named("outside")]
    [claim] = named("receive rules")
    assert set(claim["links"]) == {span["span"] for span in named("create rules")}
    assert claim["attributes"]["messaging.batch.message_count"] == 3
    ids = {span["span"] for span in attempts}
    assert all(claim["span"] in span["links"] for span in attempts)
    # Those made together know of each other.
    assert sorted(len(ids & set(span["links"])) for span in attempts) == [1, 1, 2]


def test_a_span_says_which_error_and_never_its_words(instrumented: None) -> None:
    changes = {"model": "shop.product", "values": [{"field": "price", "value": "{{ instance.name }}"}]}
    create_rule(model=Product, actions=[("create_object", changes)], slug="r")
    Product.objects.create(name=SECRET, slug="p", price="1")
    act()
    [attempt] = named("process rules")
    assert attempt["status"] == "ERROR"
    assert attempt["attributes"]["rules_engine.outcome"] in ("retryable", "discarded")
    assert attempt["attributes"]["error.type"]
    assert attempt["events"] == []
    assert SECRET not in json.dumps(attempt)


def test_an_action_in_the_process_has_a_span(instrumented: None) -> None:
    create_rule(
        model=Product, signals=["pre_save"], actions=[("set_fields", {"fields": [{"field": "name", "value": "new"}]})]
    )
    with trace.get_tracer("test").start_as_current_span("outside"):
        Product.objects.create(name="p", slug="p", price="1")
    [acted], [outside] = named("act set_fields"), named("outside")
    assert acted["parent"] == outside["span"]


def test_an_endpoint_that_is_not_told_gets_no_header(receiver: MisbehavingServer) -> None:
    make_endpoint(url=receiver.url("/"), sends_traceparent=False)
    create_rule(model=Product, actions=[("webhook", {"endpoint": "crm"})])
    Product.objects.create(name="p", slug="p", price="1")
    act("webhooks")
    [sent] = receiver.requests
    assert sent.header("traceparent") == ""
    assert Event.objects.get().trace


def test_switched_off_nothing_is_kept(receiver: MisbehavingServer, settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "TRACES": False}
    make_endpoint(url=receiver.url("/"))
    create_rule(model=Product, actions=[("webhook", {"endpoint": "crm"})])
    with trace.get_tracer("test").start_as_current_span("outside"):
        Product.objects.create(name="p", slug="p", price="1")
    act("webhooks")
    assert Event.objects.get().trace is None
    assert receiver.requests[0].header("traceparent") == ""
    assert [span["name"] for span in spans()] == ["outside"]


@pytest.fixture
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A process that has the interface, and where nobody says where spans go. Returns the names of spans that are
    begun all the same."""
    begun: list[str] = []
    start = trace.ProxyTracer.start_span

    def noted(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
        begun.append(name)
        return start(self, name, *arguments, **options)

    monkeypatch.setattr(trace.ProxyTracer, "start_span", noted)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    look_anew()
    return begun


def test_where_nobody_says_where_spans_go_none_is_begun(unconfigured: list[str]) -> None:
    set_name = {"fields": [{"field": "name", "value": "new"}]}
    create_rule(model=Product, signals=["pre_save"], actions=[("set_fields", set_name)], slug="at-once")
    create_rule(model=Product, actions=[("log_message", {"message": "x"})])
    Product.objects.create(name="p", slug="p", price="1")
    act()
    assert {execution.state for execution in Execution.objects.all()} == {"succeeded"}
    assert unconfigured == []
    assert {event.trace for event in Event.objects.all()} == {None}


def test_there_a_trace_that_comes_in_is_handed_on(unconfigured: list[str], receiver: MisbehavingServer) -> None:
    make_endpoint(url=receiver.url("/"))
    create_rule(model=Product, actions=[("webhook", {"endpoint": "crm"})])
    came_in = trace.SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=True, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(came_in)):
        Product.objects.create(name="p", slug="p", price="1")
    act("webhooks")
    assert trace_id_of(receiver.requests[0].header("traceparent")) == f"{0xABC:032x}"
