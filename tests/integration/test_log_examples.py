"""The example of plain text in the how-to on logs, as it stands in the page: a line an outcome, as shown there."""

from __future__ import annotations

import logging.config
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from project.shop.models import Product
from rules_engine.models import Execution
from rules_engine.testing import create_rule
from rules_engine.work import queues
from tests.interop.examples import HOWTO, logging_examples

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def said(settings: Any) -> Iterator[StringIO]:
    """What is written by what the example configures."""
    logger = logging.getLogger("rules_engine")
    before = logger.handlers[:], logger.level, logger.propagate
    logging.config.dictConfig(logging_examples()["plain"])
    [handler] = logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream := StringIO())
    yield stream
    logging.config.dictConfig(settings.LOGGING)
    logger.handlers, logger.level, logger.propagate = before


def test_the_plain_example_writes_the_line_that_it_shows(said: StringIO) -> None:
    create_rule(model=Product, slug="order-paid", actions=[("log_message", {"message": "x"})])
    Product.objects.create(name="p", slug="p", price="1")
    queues.drain("rules", seconds=30)
    execution = Execution.objects.get()
    [line] = [line for line in said.getvalue().splitlines() if "succeeded" in line]
    told = f"log_message of order-paid succeeded at attempt 1 (execution {execution.pk}, event {execution.event_id})"
    assert re.fullmatch(rf"[-0-9]{{10}} [:0-9]{{8}},\d{{3}} INFO rules_engine\.outcomes: {re.escape(told)}", line)
    shown = "INFO rules_engine.outcomes: webhook of order-paid succeeded at attempt 1 (execution 0193…, event 0193…, "
    assert shown in HOWTO.read_text(encoding="utf-8")
