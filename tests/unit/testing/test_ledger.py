"""The ledger books what is posted to it, and the action of an ordeal asks again where it does not answer."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from rules_engine.errors import TransientError
from rules_engine.rules import registry
from rules_engine.testing import ActionContractTests
from rules_engine.testing.faults.ledger import Ledger
from rules_engine.testing.faults.servers import closed_port
from rules_engine.types import RuleSpec


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    """The kind is known where its app is installed; here for a test at a time."""
    from rules_engine.testing.faults.rule_actions import BookInLedger

    registry.register_action(BookInLedger)
    yield
    del registry._actions[BookInLedger.kind]


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    ledger = Ledger(closed_port())
    ledger.start()
    yield ledger
    ledger.stop()


class TestBookInLedger(ActionContractTests):
    kind = "book_in_ledger"
    config = {"url": "http://127.0.0.1:9/ledger", "change": "{{ instance.name }}"}
    context = {"instance": {"name": "a"}}
    rule = RuleSpec(slug="contract", model="shop.product", signals=("post_save",))

    def test_it_is_booked_once_with_its_key(self, ledger: Ledger) -> None:
        context: Any = self._context()
        config = {**self.config, "url": f"{ledger.url}/letters"}
        self.action().run(context, config)
        [booking] = ledger.of_kind("letters")
        assert (booking.key, booking.change) == (str(context.execution_id), "a")

    def test_a_ledger_that_does_not_answer_is_asked_again(self) -> None:
        config = {**self.config, "url": f"http://127.0.0.1:{closed_port()}/ledger"}
        with pytest.raises(TransientError, match="does not answer"):
            self.action().run(self._context(), config)

    def test_a_ledger_is_on_this_machine(self) -> None:
        config = {**self.config, "url": "http://example.com/ledger"}
        [problem] = self.action().validate_config(config, self.rule)
        assert "on this machine" in problem.message


def test_what_cannot_be_read_is_refused_and_books_nothing(ledger: Ledger) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ledger.port, timeout=10)
    connection.request("POST", "/ledger", "no JSON", {"Idempotency-Key": "1"})
    assert connection.getresponse().status == 400
    connection.close()
    assert ledger.bookings == []
