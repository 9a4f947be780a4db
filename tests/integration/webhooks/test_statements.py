"""How many statements deliveries take: they are claimed, begun and recorded together, whatever endpoints they go to."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from project.shop.models import Product
from rules_engine.models import Execution
from rules_engine.testing import create_rule
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from webhooks.sending.sender import drain

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.row_locks]

ENDPOINTS, PRODUCTS = 50, 10
#: Until the first deliveries are on their way: the look for lanes, for what took a process down and for what was in
#: flight when one died, each with what is unusual; the endpoints; the claim, its events, its rules, its charge.
OF_A_CLAIM = 10


def order(server: MisbehavingServer) -> None:
    """Have as many deliveries wait for each endpoint as there are products."""
    slugs = [f"e{number}" for number in range(ENDPOINTS)]
    for slug in slugs:
        make_endpoint(slug, url=server.url(f"/{slug}"))
    for start in range(0, ENDPOINTS, 10):
        actions = [("webhook", {"endpoint": slug}) for slug in slugs[start : start + 10]]
        create_rule(slug=f"r{start}", model="shop.product", signals=["post_save"], actions=actions)
    for number in range(PRODUCTS):
        Product.objects.create(name=f"p{number}", slug=f"p{number}", price="1")


def kinds(asked: CaptureQueriesContext) -> list[str]:
    """The statements that a test has an opinion of, in their order, and "" for the others."""
    marks = {"charged": "WITH charged", "ended": "WITH ended", "looked": "WITH RECURSIVE", "endpoints": '."secret"'}
    return [
        next((kind for kind, mark in marks.items() if mark in query["sql"]), "") for query in asked.captured_queries
    ]


@pytest.mark.postgres("elsewhere a step takes a few statements, and one a lane")
def test_three_hundred_deliveries_to_fifty_endpoints_are_begun_at_once(server: MisbehavingServer) -> None:
    order(server)
    with CaptureQueriesContext(connection) as asked:
        assert drain(30, limit=300) == 300
    statements = kinds(asked)
    assert statements.index("ended") <= OF_A_CLAIM
    assert statements.count("charged") == 1
    assert statements.count("endpoints") == 2, "once for what may have taken a process down"
    after = statements[statements.index("ended") :]
    # What has come back is recorded, and its endpoints are told to be well: two statements for each time.
    assert len(after) <= 2 * after.count("ended")


def test_five_hundred_deliveries_take_few_statements(server: MisbehavingServer) -> None:
    order(server)
    with CaptureQueriesContext(connection) as asked:
        assert drain(30) == ENDPOINTS * PRODUCTS
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    statements = kinds(asked)
    # A look that finds nothing to claim takes two, and one every 25 ms is made while something is in flight. Elsewhere
    # than on PostgreSQL a step takes more of them, and there are more steps where the machine has other work; one by
    # one it would be three for each.
    most = ENDPOINTS * PRODUCTS / (4 if connection.vendor == "postgresql" else 1)
    assert len(statements) - 2 * statements.count("looked") < most
