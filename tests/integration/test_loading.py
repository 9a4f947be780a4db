"""How a process comes by its rules: at its first connection, from its watcher, in its threads and forked children."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import ProgrammingError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from rules_engine.actions import ActionResult
from rules_engine.live import cache, watcher
from rules_engine.models import Event, Rule, RuleAction, RuleSetVersion, RuleVersion
from rules_engine.outbox import hints
from rules_engine.rules import registry
from rules_engine.rules.contract import Action
from rules_engine.rules.matching import CompiledRule
from rules_engine.testing import create_rule
from tests.faults.processes import python, said
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

#: Longer than any step takes here; waited out by a test that fails alone.
SECONDS = 60.0
LOG = ("log_message", {"message": "x"})
ZERO = {"===": [{"var": "event.depth"}, 0]}


class Broken(Action):
    """The site's own action, with a bug in what it says it reads."""

    kind = "broken"
    label = "Broken"
    schema = {"type": "object", "keys": {}}

    def reads(self, config: Any, rule: Any) -> Iterable[tuple[str, ...]]:
        raise AttributeError("a bug of the site's")

    def run(self, context: Any, config: Any) -> ActionResult:
        return ActionResult("ok")


class ReadsNothingByName(Broken):
    """Means the whole context, and says it in a way that no path is written."""

    kind = "reads_nothing_by_name"

    def reads(self, config: Any, rule: Any) -> Iterable[tuple[str, ...]]:
        return {()}


@pytest.fixture(autouse=True)
def _actions() -> Iterator[None]:
    for action in (Broken, ReadsNothingByName):
        registry.register_action(action)
    yield
    for action in (Broken, ReadsNothingByName):
        del registry._actions[action.kind]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes this a process that has just started outside tests: it has no rules, its next connection is its first."""

    def forget() -> None:
        monkeypatch.setattr(watcher, "is_test_environment", lambda: False)
        monkeypatch.setattr(watcher, "_loaded_in", None)
        monkeypatch.setattr(watcher, "_start_thread", lambda: None)
        cache.reset()
        connection.close()

    return forget


def store(slug: str, kind: str = "log_message", **fields: Any) -> None:
    """Put a rule into the database past all validation, as another version of the site may have done."""
    rule = Rule.objects.create(**{"slug": slug, "model": "zoo.animal", "signals": ["post_save"], **fields})
    RuleAction.objects.create(rule=rule, kind=kind, config={"message": "x"} if kind == "log_message" else {})


def in_threads(*acts: Callable[[], Any]) -> None:
    """Run these at once, each with connections of its own; fails for one that does not come to an end."""

    def run(act: Callable[[], Any]) -> None:
        try:
            with suppress(SystemExit):
                act()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[act], daemon=True) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert not any(thread.is_alive() for thread in threads), "they wait for each other"


def matched() -> set[str]:
    [event] = Event.objects.all()
    return {one["rule"] for one in event.evaluations if one["outcome"] == "matched"}


BAD_RULES = [
    {"kind": "broken"},
    {"signals": [["post_save"]]},
    {"signals": ["gone.signal"], "model": ""},
    {"model": "zoo.gone"},
    {"changes": [{"field": "gone"}]},
]


@pytest.mark.parametrize("bad", BAD_RULES, ids=str)
def test_one_bad_rule_keeps_no_other_from_being_loaded(bad: dict[str, Any], start: Callable[[], None]) -> None:
    store("good")
    store("bad", **bad)
    start()
    connection.ensure_connection()
    Animal.objects.create(name="a")
    assert "good" in matched()


def test_an_action_that_reads_a_path_of_no_names_costs_no_rule_its_match(start: Callable[[], None]) -> None:
    store("good")
    store("odd", kind="reads_nothing_by_name")
    start()
    Animal.objects.create(name="a")
    assert matched() == {"good", "odd"}


def test_a_setting_that_is_wrong_breaks_no_connection(start: Callable[[], None], settings: Any) -> None:
    store("good")
    start()
    settings.RULES_ENGINE = {"REFRESH": "watcher"}
    connection.ensure_connection()
    assert connection.is_usable()
    assert cache.current().find("good") is not None


def test_a_thread_that_connects_while_another_loads_waits_for_the_rules(
    start: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store("good")
    start()
    loading, real = threading.Event(), cache.load

    def load(*which: Any) -> Any:
        loading.set()
        time.sleep(0.3)  # time enough for the other thread to save, if nothing holds it
        return real(*which)

    def save() -> None:
        loading.wait(SECONDS)
        Animal.objects.create(name="a")

    monkeypatch.setattr(cache, "load", load)
    in_threads(lambda: connection.ensure_connection(), save)
    assert Event.objects.count() == 1


def test_a_request_that_refreshes_waits_for_no_thread_that_connects(
    start: Callable[[], None], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.RULES_ENGINE = {"REFRESH": "request"}
    start()
    refreshing, real, request_thread = threading.Event(), transaction.atomic, []

    def atomic(**options: Any) -> Any:
        if threading.get_ident() in request_thread:
            refreshing.set()
            time.sleep(0.3)  # time enough for the other thread to connect
        return real(**options)

    def request() -> None:
        request_thread.append(threading.get_ident())
        watcher.started()

    def connect() -> None:
        refreshing.wait(SECONDS)
        connection.ensure_connection()

    monkeypatch.setattr(cache, "transaction", SimpleNamespace(atomic=atomic))
    in_threads(request, connect)


@pytest.mark.parametrize(
    ("error", "has_traceback"),
    [(ValueError("a bug in one rule"), True), (ProgrammingError("no such column: rules_engine_rule.raw"), False)],
)
def test_the_watcher_outlives_any_error_and_says_it_once(
    error: Exception,
    has_traceback: bool,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.RULES_ENGINE = {"REFRESH_SECONDS": 0.01}
    looks: list[int] = []

    def look() -> bool:
        looks.append(1)
        if len(looks) == 4:
            raise SystemExit  # the one thing that ends it
        raise error

    monkeypatch.setattr(cache, "refresh", look)
    in_threads(watcher._watch)
    assert len(looks) == 4
    (record,) = [record for record in caplog.records if record.name == "rules_engine"]
    assert bool(record.exc_info) == has_traceback
    assert str(error) in caplog.text


def test_a_fork_does_not_wait_for_a_refresh_that_hangs(process_environment: dict[str, str]) -> None:
    store("good")
    code = """
    import threading
    from rules_engine.live import cache
    signal.alarm(30)
    cache.FORK_WAITS_SECONDS = 0.01
    inside, forked = threading.Event(), threading.Event()
    def hang():
        with cache._lock:
            inside.set()
            forked.wait(60)
    thread = threading.Thread(target=hang)
    thread.start()
    inside.wait()
    connection.close()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        cache.refresh(force=True)
        Doctor.objects.count()
        say(child="refreshed")
        os._exit(0)
    say(still_hangs=thread.is_alive() and not cache._lock.acquire(blocking=False))
    forked.set()
    os.waitpid(child, 0)
    """
    assert sorted(said(python(code, process_environment)), key=str) == [{"child": "refreshed"}, {"still_hangs": True}]


def test_the_thread_that_wakes_workers_outlives_what_a_transport_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, sent = threading.Event(), threading.Event()

    def send(queue: str) -> None:
        if not tried.is_set():
            tried.set()
            raise TypeError("a bug of the transport's")
        sent.set()

    monkeypatch.setattr(hints, "send", send)
    hints.Publisher().notify("rules")
    assert sent.wait(SECONDS), "it was not tried again"


def test_the_flush_at_exit_waits_for_what_is_being_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, sent = threading.Event(), threading.Event(), []

    def send(queue: str) -> None:
        begun.set()
        go_on.wait(SECONDS)
        sent.append(queue)

    monkeypatch.setattr(hints, "send", send)
    publisher = hints.Publisher()
    publisher.notify("rules")
    assert begun.wait(SECONDS)
    threading.Timer(0.1, go_on.set).start()
    publisher.flush(SECONDS)
    assert sent == ["rules"]


# What a refresh takes over


def found(slug: str) -> CompiledRule:
    rule = cache.current().find(slug)
    assert rule is not None
    return rule


def test_a_rule_that_a_test_makes_is_read_once() -> None:
    with CaptureQueriesContext(connection) as asked:
        rule = create_rule(Animal, actions=[LOG])
    assert cache.current().find(rule.slug)
    table = connection.ops.quote_name("rules_engine_rule")
    # Besides, rules on time are looked for, by what says when they are due.
    column = connection.ops.quote_name("sample_percent")
    reads = [one["sql"] for one in asked.captured_queries if f" FROM {table} " in one["sql"] and column in one["sql"]]
    assert len(reads) == 1, reads


def test_a_refresh_compiles_what_changed_and_takes_over_the_rest() -> None:
    for slug in ("one", "two"):
        create_rule(Animal, slug=slug, condition=ZERO, actions=[("log_message", {"message": slug})])
    one, two = found("one"), found("two")
    Rule.objects.filter(slug="one").update(condition={"===": [{"var": "event.depth"}, False]})
    cache.refresh()
    assert (found("one").version, found("two")) == (2, two)
    Animal.objects.create(name="a")
    [event] = Event.objects.all()
    assert [(each["rule"], each["outcome"]) for each in event.evaluations] == [
        ("one", "not_matched"),
        ("two", "matched"),
    ]
    RuleAction.objects.filter(rule__slug="two").update(config={"message": "else"})
    cache.refresh()
    assert found("two").actions[0].config == {"message": "else"}
    Rule.objects.filter(slug="one").update(condition=ZERO)
    cache.refresh()
    assert (found("one").version, found("one").condition) != (one.version, one.condition)
    Rule.objects.filter(slug="one").update(enabled=False)
    cache.refresh()
    assert cache.current().find("one") is None


def test_a_rule_that_changed_and_changed_back_has_its_newest_version() -> None:
    create_rule(Animal, slug="one", actions=[LOG])
    first = RuleVersion.objects.get()
    for number, digest in ((2, "another form"), (3, first.digest)):
        RuleVersion.objects.create(rule_slug="one", number=number, digest=digest, content={})
    RuleSetVersion.bump()
    cache.refresh()
    assert found("one").version == 3


def test_a_rule_whose_action_was_not_there_yet_is_compiled_again() -> None:
    action = registry._actions.pop(Broken.kind)
    store("early", kind=Broken.kind)
    cache.refresh(force=True)
    assert not found("early").fault
    registry._actions[Broken.kind] = action
    RuleSetVersion.bump()
    cache.refresh()
    assert "a bug of the site's" in found("early").fault
