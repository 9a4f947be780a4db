"""Who sees and does what: each page and each action, for root, authors of rules, viewers and mere staff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from rules_engine.models import Execution, HeldMatch, Pause, Rule
from tests import admin_pages
from tests.integration.admin.conftest import client_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)

ENGINE = ("rule", "ruleversion", "event", "execution", "heldmatch", "auditentry", "pause", "recording")
VIEWS = (*(f"rules_engine.view_{name}" for name in ENGINE), "webhooks.view_endpoint")
AUTHOR = (*VIEWS, "rules_engine.add_rule", "rules_engine.change_rule", "shop.view_order")
WHO: dict[str, tuple[str, ...] | None] = {"root": None, "author": AUTHOR, "viewer": VIEWS, "nobody": ()}
#: What the words of a page's name say of who may see it; the first that fits decides.
PAGES = (
    ("_delete", {"root"}),
    ("rules_engine_rule_add", {"root", "author"}),
    ("rules_engine_rule_template", {"root", "author"}),
    ("rules_engine_rule_from_template", {"root", "author"}),
    ("_add", {"root"}),
    ("_changelist", {"root", "author", "viewer"}),
    ("_change", {"root", "author", "viewer"}),
    ("_history", {"root", "author", "viewer"}),
    ("rules_engine_overview", {"root", "author", "viewer"}),
    ("rules_engine_rule_python", {"root", "author", "viewer"}),
    (": index", {"root", "author", "viewer"}),
)


def sign_in(who: str) -> Client:
    permissions = WHO[who]
    if permissions is None:
        return client_of(make_user(name=who, is_superuser=True))
    return client_of(make_user(*permissions, name=who))


@pytest.mark.parametrize("who", WHO)
def test_who_sees_which_page(who: str) -> None:
    admin_pages.fill()
    client = sign_in(who)
    root = client_of(make_user(name="the-root", is_superuser=True))
    wrong = {}
    for name, address in admin_pages.addresses().items():
        expected = next((whom for words, whom in PAGES if name.endswith(words) or words in name), None)
        if root.get(address).status_code != 200:
            continue  # nobody may, or it is to be posted to
        seen = client.get(address).status_code == 200
        if expected is None:
            # A page that the table does not know: it is at least none of those who may see nothing.
            expected = {who} if seen and who != "nobody" else set()
        if seen != (who in expected):
            wrong[name] = seen
    assert wrong == {}


def act(client: Client, model: str, action: str, *pks: Any, **fields: Any) -> None:
    chosen = {"action": action, "_selected_action": [str(pk) for pk in pks], **fields}
    client.post(reverse(f"admin:rules_engine_{model}_changelist"), chosen)


def enable(client: Client) -> bool:
    rule = Rule.objects.get(slug="off")
    act(client, "rule", "enable", rule.pk)
    return Rule.objects.get(slug="off").enabled


def disable(client: Client) -> bool:
    act(client, "rule", "disable", Rule.objects.get(slug="mails").pk)
    return not Rule.objects.get(slug="mails").enabled


def duplicate(client: Client) -> bool:
    act(client, "rule", "duplicate", Rule.objects.get(slug="off").pk)
    return Rule.objects.filter(slug="off-copy", enabled=False).exists()


def pause(client: Client) -> bool:
    act(client, "rule", "pause", Rule.objects.get(slug="mails").pk, post="yes", lasts="", mode="hold", reason="")
    return Pause.objects.filter(rule_slug="mails").exists()


def retry(client: Client) -> bool:
    failed = Execution.objects.filter(state="discarded")[0]
    act(client, "execution", "retry_selected", failed.pk)
    return Execution.objects.get(pk=failed.pk).state == "retryable"


def retry_by_button(client: Client) -> bool:
    failed = Execution.objects.filter(state="discarded")[0]
    client.post(reverse("admin:rules_engine_execution_retry", args=[failed.pk]))
    return Execution.objects.get(pk=failed.pk).state == "retryable"


def cancel(client: Client) -> bool:
    waiting = Execution.objects.filter(state="pending")[0]
    act(client, "execution", "cancel_selected", waiting.pk)
    return Execution.objects.get(pk=waiting.pk).state == "cancelled"


def release(client: Client) -> bool:
    waiting = HeldMatch.objects.filter(state="waiting")[0]
    client.post(reverse("admin:rules_engine_heldmatch_release", args=[waiting.pk]))
    return HeldMatch.objects.get(pk=waiting.pk).state != "waiting"


def resume(client: Client) -> bool:
    paused = Pause.objects.get(rule_slug="shadow")
    client.post(reverse("admin:rules_engine_pause_delete", args=[paused.pk]), {"post": "yes"})
    return not Pause.objects.filter(pk=paused.pk).exists()


ACTIONS: dict[Callable[[Client], bool], str] = {
    enable: "rules_engine.enable_rule",
    disable: "rules_engine.enable_rule",
    duplicate: "rules_engine.add_rule",
    pause: "rules_engine.add_pause",
    retry: "rules_engine.retry_execution",
    retry_by_button: "rules_engine.retry_execution",
    cancel: "rules_engine.retry_execution",
    release: "rules_engine.release_heldmatch",
    resume: "rules_engine.delete_pause",
}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("who", [*WHO, "with it"])
def test_who_does_what_and_that_it_is_written_down(who: str, action: Callable[[Client], bool]) -> None:
    admin_pages.fill()
    LogEntry.objects.all().delete()
    user = make_user(*VIEWS, "shop.view_order", ACTIONS[action]) if who == "with it" else None
    client = client_of(user) if user else sign_in(who)
    may = who in ("root", "with it") or (who == "author" and ACTIONS[action] in AUTHOR)
    assert action(client) is may
    assert LogEntry.objects.exists() is may


def test_who_may_not_switch_on_writes_rules_that_are_off_and_changes_no_others() -> None:
    from tests.integration.admin.conftest import ADD, change_url, post_data

    admin_pages.fill()
    client = sign_in("author")
    row = {"kind": "log_message", "config": '{"message": "x"}'}
    assert client.post(reverse(ADD), post_data([row])).status_code == 302
    made = Rule.objects.get(slug="new-order")
    assert not made.enabled
    assert client.post(change_url(made), {"enabled": "on"}).status_code == 200
    assert client.post(change_url(Rule.objects.get(slug="mails")), post_data([row])).status_code == 403
    assert not Rule.objects.get(slug="new-order").enabled
