"""The mail of a test, sent to whoever tests and to nobody else."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import Client
from django.urls import reverse

from project.accounts.models import User
from rules_engine.models import Execution, MailHour, Rule
from rules_engine.testing import create_rule
from tests.factories import make_order, order_with_items

pytestmark = pytest.mark.django_db(transaction=True)

CONFIG: dict[str, Any] = {
    "to": ["{{ instance.customer.email }}", "office@example.com"],
    "subject": "{{ what_happened }}",
    "body": "Total: {{ instance.total }}",
    "html_from_text": True,
    "reply_to": "shop@example.com",
}
BUTTON = "Send this mail to me"


def mails(**fields: Any) -> Rule:
    return create_rule(model="shop.order", signals=["post_save"], actions=[("send_email", CONFIG)], **fields)


def page_of(client: Client, rule: Rule, obj: Any, **further: Any) -> str:
    body = {
        "pk": obj.pk,
        "signal": "post_save",
        "operation": "update",
        "changes-TOTAL_FORMS": 1,
        "changes-INITIAL_FORMS": 0,
        "changes-0-field": "status",
        "changes-0-old": "draft",
        "changes-0-new": "paid",
    }
    response = client.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), {**body, **further})
    assert response.status_code == 200
    return unescape(response.content.decode())


def test_a_test_mail_goes_to_whoever_tests_and_to_nobody_else(admin_client: Client) -> None:
    order = make_order(total=5, customer=User.objects.create_user("ada", email="ada@example.org"))
    rule = mails()
    assert f"{BUTTON} (root@example.com)" in page_of(admin_client, rule, order)
    assert not mail.outbox
    page = page_of(admin_client, rule, order, mail_me="0")
    assert "The test mail was sent to root@example.com, and to nobody else." in page
    [message] = mail.outbox
    assert message.recipients() == ["root@example.com"]
    assert message.subject == f"[Test] Order {order.pk}: status Draft → Paid (by root)"
    assert message.body == "Total: 5.00"
    assert message.alternatives[0][1] == "text/html"
    assert message.reply_to == ["shop@example.com"]
    assert LogEntry.objects.latest("pk").get_change_message() == "Sent a test mail to root@example.com."
    assert not Execution.objects.exists()
    order.refresh_from_db()
    assert order.status == "draft"


def test_test_mails_count_like_the_rules_others(admin_client: Client, settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "EMAILS_PER_RULE_PER_HOUR": 1}
    order, rule = make_order(), mails()
    page_of(admin_client, rule, order, mail_me="0")
    assert "The mail was not sent: " in page_of(admin_client, rule, order, mail_me="0")
    assert len(mail.outbox) == 1
    hour = MailHour.objects.get(rule_slug=rule.slug)
    assert (hour.sent, hour.put_off, hour.discarded) == (1, 0, 0)


def test_a_domain_that_rules_may_not_mail_is_refused(admin_client: Client, settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "EMAIL_DOMAINS": ["example.org"]}
    order = make_order(customer=User.objects.create_user("ada", email="ada@example.org"))
    action = ("send_email", {**CONFIG, "to": CONFIG["to"][:1], "reply_to": ""})
    rule = create_rule(model="shop.order", signals=["post_save"], actions=[action])
    page = page_of(admin_client, rule, order, mail_me="0")
    assert "The mail was not sent: " in page
    assert 'RULES_ENGINE["EMAIL_DOMAINS"]' in page
    assert not mail.outbox


@pytest.mark.parametrize("address", ["", "{{x}}@example.com"])
def test_without_a_usable_address_there_is_no_button_and_no_mail(admin_client: Client, root: Any, address: str) -> None:
    root.email = address
    root.save()
    page = page_of(admin_client, mails(), make_order(), mail_me="0")
    assert BUTTON not in page
    assert "No mail was sent" in page
    assert not mail.outbox


@pytest.mark.parametrize("place", ["1", "7", "x", ""])
def test_what_is_no_mail_is_not_sent(admin_client: Client, place: str) -> None:
    actions = [("send_email", CONFIG), ("log_message", {"message": "x"})]
    rule = create_rule(model="shop.order", signals=["post_save"], actions=actions)
    assert "No mail was sent" in page_of(admin_client, rule, make_order(), mail_me=place)
    assert not mail.outbox


def test_of_a_mail_for_each_row_the_first_is_sent(admin_client: Client) -> None:
    each = {**CONFIG, "subject": "{{ each.quantity }} pieces"}
    actions = [("send_email", each, {"for_each": "instance.items"})]
    rule = create_rule(model="shop.order", signals=["post_save"], actions=actions)
    page_of(admin_client, rule, order_with_items((2, "1.00"), (3, "1.00")), mail_me="0")
    assert [message.subject for message in mail.outbox] == ["[Test] 2 pieces"]


def test_who_may_not_test_or_not_see_what_is_mailed_sends_nothing(staff: Callable[..., Client]) -> None:
    rule, order = mails(), make_order()
    client = staff("rules_engine.view_rule", "rules_engine.test_rule", "shop.view_order")
    response = client.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), {"pk": order.pk, "mail_me": "0"})
    assert response.status_code == 403
    assert not mail.outbox
