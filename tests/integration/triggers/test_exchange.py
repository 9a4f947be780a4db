"""A write that is under way while triggers begin, or cease, to tell of its table is told once: by one or the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event as Flag
from typing import Any

import pytest
from django.db import connection, connections

from project.shop.models import Order
from rules_engine import watching_bulk
from rules_engine.live.triggers import installing
from rules_engine.models import CapturedChange, Event, Execution
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_order

pytestmark = pytest.mark.django_db(transaction=True)
Install = Callable[..., None]
SECONDS = 30
LOG = [("log_message", {"message": "{{ instance.status }}"})]


def saved() -> None:
    order = Order.objects.get()
    order.status = "paid"
    order.save()


def updated() -> None:
    with watching_bulk():
        Order.objects.update(status="paid")


class Stop:
    """Stops a thread at a statement of the order's table that begins so: before it, or after."""

    def __init__(self, begins: str, is_before: bool) -> None:
        self.begins, self.is_before = begins, is_before
        self.has_come, self.may_go = Flag(), Flag()

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.has_come.is_set() or not sql.startswith(self.begins) or "shop_order" not in sql:
            return execute(sql, params, many, context)
        if self.is_before:
            self._stop()
            return execute(sql, params, many, context)
        done = execute(sql, params, many, context)
        self._stop()
        return done

    def _stop(self) -> None:
        self.has_come.set()
        assert self.may_go.wait(SECONDS)


@contextmanager
def stopped(write: Callable[[], None], stop: Stop) -> Iterator[None]:
    """Have a thread of its own write, up to the stop; it goes on at the end of the block."""

    def run() -> None:
        try:
            with connection.execute_wrapper(stop):
                write()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        written: Future[None] = pool.submit(run)
        try:
            assert stop.has_come.wait(SECONDS)
            yield
        finally:
            stop.may_go.set()
        written.result()


@pytest.fixture(
    params=["before the statement", "after it", pytest.param("while rows are read", marks=pytest.mark.row_locks)]
)
def way(request: Any) -> tuple[Callable[[], None], Stop]:
    if request.param == "while rows are read":
        return updated, Stop("SELECT", is_before=False)
    return saved, Stop("UPDATE", is_before=request.param.startswith("before"))


@pytest.fixture(autouse=True)
def _order() -> None:
    # Without the values before, so that nothing is kept from the time before the statement.
    create_rule(model=Order, actions=LOG)
    make_order()
    Execution.objects.all().delete()
    Event.objects.all().delete()


def told() -> list[Any]:
    run_due()
    assert not CapturedChange.objects.exists()
    return [event.context["instance"]["status"] for event in Event.objects.filter(signal="post_save")]


def test_a_write_is_told_once_while_triggers_take_over(install: Install, way: Any) -> None:
    write, stop = way
    for capture in installing.captures_for(Order):
        installing.install(capture, grace=SECONDS)
    with stopped(write, stop):
        refresh()
    assert told() == ["paid"]
    saved()
    assert told() == ["paid", "paid"], "Who writes by then is told by the triggers."


def test_a_write_is_told_once_while_signals_take_over(install: Install, way: Any) -> None:
    write, stop = way
    install(Order)

    def wait(seconds: float) -> None:
        with stopped(write, stop):
            refresh()

    if write is updated:
        # With a rule that a bulk write is told of.
        create_rule(
            model=Order, signals=["pre_save"], condition={"==": [{"var": "instance.status"}, "paid"]}, actions=LOG
        )
        refresh()
    installing.remove("shop.order", wait, grace=0)
    refresh()
    assert told() == ["paid"]
    saved()
    assert told() == ["paid", "paid"], "Who writes by then is told by signals."
