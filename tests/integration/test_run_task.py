"""``run_task``: published to the broker of the tests' settings, and read back from its queue."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from celery import Celery, current_app
from kombu import Message

from project.shop.models import Order
from rules_engine.errors import InvalidRule
from rules_engine.models import Execution
from rules_engine.rules.validation import rule_problems
from rules_engine.testing import ActionContractTests, create_rule, run_due
from rules_engine.types import ActionSpec, RuleSpec

pytestmark = pytest.mark.django_db(transaction=True)

TASK = "shop.tasks.request_fulfilment"


@pytest.fixture(autouse=True)
def _tasks(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "TASKS": {TASK: "Fulfilment"}}


@pytest.fixture
def queue() -> str:
    return f"fulfilment-{uuid.uuid4().hex}"


class TestContract(ActionContractTests):
    kind = "run_task"
    config = {"task": TASK, "queue": "contract", "arguments": [{"name": "order_id", "value": 1}]}
    rule = RuleSpec(slug="fulfil", model="shop.order", signals=("post_save",))

    @pytest.fixture(autouse=True)
    def _read_back(self) -> Iterator[None]:
        yield
        received("contract")


def received(queue: str) -> list[Message]:
    """The messages of a queue, taken from it."""
    with current_app.connection_for_read() as connection, connection.SimpleQueue(queue) as simple:
        found = []
        while True:
            try:
                message = simple.get(block=False)
            except simple.Empty:
                return found
            message.ack()
            found.append(message)


def on_order(**config: Any) -> Any:
    return create_rule(Order, actions=[("run_task", {"task": TASK, **config})])


def problems(config: dict[str, Any]) -> dict[str, str]:
    rule = RuleSpec(slug="r", model="shop.order", signals=("post_save",), actions=(ActionSpec("run_task", config),))
    return {one.pointer.removeprefix("/actions/0/config"): one.message for one in rule_problems(rule)}


def test_the_task_is_published_with_its_arguments_under_the_executions_id(queue: str) -> None:
    rows = [
        {"name": "order_id", "value": {"var": "instance.pk"}},
        {"name": "number", "value": "No. {{ instance.order_number }}"},
        {"name": "total", "value": "{{ instance.total }}"},
        {"name": "urgent", "value": True},
    ]
    on_order(queue=queue, arguments=rows)
    order = Order.objects.create(order_number="A-1", total=Decimal("9.50"))
    assert run_due() == 1
    execution = Execution.objects.get()
    assert (execution.state, execution.summary) == ("succeeded", "Asked for Fulfilment"), execution.error
    [message] = received(queue)
    assert message.headers["task"] == TASK
    assert message.headers["id"] == str(execution.pk)
    _, given, _ = message.payload
    assert given == {"order_id": order.pk, "number": "No. A-1", "total": "9.50", "urgent": True}


def test_the_second_attempt_publishes_the_same_id(queue: str) -> None:
    on_order(queue=queue)
    Order.objects.create(order_number="A-1")
    run_due()
    execution = Execution.objects.get()
    Execution.objects.filter(pk=execution.pk).update(state="retryable", finished_at=None)
    run_due()
    assert [message.headers["id"] for message in received(queue)] == [str(execution.pk)] * 2


def test_without_a_queue_the_task_goes_where_the_site_sends_it() -> None:
    on_order()
    Order.objects.create(order_number="A-1")
    run_due()
    sent = {message.headers["id"] for message in received(current_app.conf.task_default_queue)}
    assert str(Execution.objects.get().pk) in sent


def test_a_task_taken_off_the_list_is_refused(queue: str, settings: Any) -> None:
    on_order(queue=queue)
    Order.objects.create(order_number="A-1")
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "TASKS": ["shop.tasks.other"]}
    run_due()
    execution = Execution.objects.get()
    assert execution.state == "refused"
    assert 'RULES_ENGINE["TASKS"]' in execution.error
    assert received(queue) == []


@pytest.fixture
def _unreachable() -> Iterator[None]:
    """Celery with a broker that is not there: no server listens on port 1."""
    usual = current_app._get_current_object()
    with Celery("unreachable", broker="redis://127.0.0.1:1/0", set_as_current=False) as other:
        # Whoever connects waits 0, 2 and 4 seconds between three tries, unless told otherwise.
        other.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1}
        other.set_current()
        yield
        usual.set_current()


@pytest.mark.usefixtures("_unreachable")
def test_a_broker_that_cannot_be_reached_is_tried_again(queue: str) -> None:
    on_order(queue=queue)
    Order.objects.create(order_number="A-1")
    run_due()
    execution = Execution.objects.get()
    assert execution.state == "retryable"
    assert execution.error.startswith("The broker could not be given the task")


def test_a_value_that_cannot_be_had_publishes_nothing(queue: str) -> None:
    on_order(queue=queue, arguments=[{"name": "n", "value": {"+": [{"var": "instance.customer_id"}, 1]}}])
    Order.objects.create(order_number="A-1")
    run_due()
    assert Execution.objects.get().state == "discarded"
    assert received(queue) == []


@pytest.mark.parametrize(
    ("config", "pointer", "words"),
    [
        ({}, "/task", "Name the task"),
        ({"task": "shop.tasks.request_fulfilmnt"}, "/task", f'Did you mean "{TASK}"? RULES_ENGINE["TASKS"] has: '),
        ({"task": "os.system"}, "/task", "may not run"),
        ({"task": TASK, "queue": "../../evil"}, "/queue", "name of a queue"),
        ({"task": TASK, "arguments": [{"value": 1}]}, "/arguments/0/name", "Name the argument"),
        ({"task": TASK, "arguments": [{"name": "order id"}]}, "/arguments/0/name", "letters"),
        ({"task": TASK, "arguments": [{"name": "self"}]}, "/arguments/0/name", "taken"),
        ({"task": TASK, "arguments": [{"name": "a"}, {"name": "a"}]}, "/arguments/0/name", "2 times"),
        ({"task": TASK, "arguments": [{"name": "a", "value": "{{ instance.totl }}"}]}, "/arguments/0/value", "total"),
    ],
)
def test_what_is_wrong_is_reported_at_its_place(config: dict[str, Any], pointer: str, words: str) -> None:
    assert words in problems(config)[pointer]


def test_without_a_list_no_task_may_be_run(settings: Any) -> None:
    settings.RULES_ENGINE = {}
    assert "is empty" in problems({"task": TASK})["/task"]
    with pytest.raises(InvalidRule):
        on_order()
