"""A mail as a new action has it: what happened, as text and as HTML made from it."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail

from project.accounts.models import User
from project.shop.models import Order
from rules_engine import acting_as
from rules_engine.errors import InvalidRule
from rules_engine.rules import registry
from rules_engine.source.module import python_of
from rules_engine.testing import create_rule, run_due
from tests.factories import make_order

pytestmark = pytest.mark.django_db(transaction=True)

LINK = "https://shop.example.com/admin/shop/order/"


def begun(user: Any) -> dict[str, Any]:
    """What the form of a new mail action begins with."""
    action = registry.find("send_email")
    assert action is not None
    return dict(action.initial_config(user))


def paid(config: dict[str, Any]) -> Order:
    """A rule with that mail, and an order that is paid."""
    order = make_order()
    create_rule(model="shop.order", signals=["post_save"], operations=["update"], actions=[("send_email", config)])
    order.status = "paid"
    with acting_as(User.objects.create_user("carmen", email="carmen@example.com")):
        order.save()
    run_due()
    return order


def test_a_new_mail_says_what_happened_to_whoever_made_it(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SITE_URL": "https://shop.example.com"}
    order = paid(begun(User(email="ada@example.com")))
    [message] = mail.outbox
    words = f"Order {order.pk}: status Draft → Paid (by carmen)"
    assert message.to == ["ada@example.com"]
    assert message.subject == words
    assert message.body == f"{words}\n\n{LINK}{order.pk}/change/"
    [(html, content_type)] = message.alternatives
    assert content_type == "text/html"
    assert f'<p>{words}</p>\n<p><a href="{LINK}{order.pk}/change/">' in html


def test_without_an_address_of_the_site_there_is_no_link() -> None:
    assert begun(User(email=""))["body"] == "{{ what_happened }}"
    assert "to" not in begun(User(email=""))


@pytest.mark.parametrize(
    ("further", "alternatives"),
    [
        ({}, []),
        ({"html_from_text": False}, []),
        ({"html": "<b>x</b>", "html_from_text": True}, [("<b>x</b>", "text/html")]),
    ],
)
def test_what_does_not_ask_for_html_from_its_text_is_sent_as_before(further: Any, alternatives: Any) -> None:
    paid({"to": ["ada@example.com"], "subject": "s", "body": "b", **further})
    [message] = mail.outbox
    assert [tuple(alternative) for alternative in message.alternatives] == alternatives


def test_values_are_escaped_in_the_html_made_from_the_text() -> None:
    order = make_order(order_number="<img src=x>")
    config = {"to": ["ada@example.com"], "subject": "s", "body": "{{ instance.order_number }}", "html_from_text": True}
    create_rule(model="shop.order", signals=["post_save"], actions=[("send_email", config)])
    order.save()
    run_due()
    [message] = mail.outbox
    assert "&lt;img src=x&gt;" in message.alternatives[0][0]
    assert message.body == "<img src=x>"


def test_html_from_text_is_true_or_false() -> None:
    config = {"to": ["ada@example.com"], "subject": "s", "body": "b", "html_from_text": "yes"}
    with pytest.raises(InvalidRule, match="Expected boolean"):
        create_rule(model="shop.order", signals=["post_save"], actions=[("send_email", config)])


def test_as_python_it_is_said_in_the_same_words() -> None:
    config = {**begun(User(email="ada@example.com")), "body": "{{ what_happened }}\n{{ admin_url }}"}
    rule = create_rule(
        model="shop.order", signals=["post_save"], operations=["update"], actions=[("send_email", config)]
    )
    rule.enabled = False
    rule.save()
    module: dict[str, Any] = {"__name__": "adopted"}
    exec(compile(python_of([rule.spec()]), "adopted", "exec"), module)
    order = make_order()
    order.status = "paid"
    order.save()
    assert mail.outbox[-1].subject == f"Order {order.pk}: status Draft → Paid"
    assert "<p>" in mail.outbox[-1].alternatives[0][0]
