"""Who sees and does what: every page and every action of both apps, found in their addresses, against one table.

A page or an action without a row here fails, and so does a row without a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from project.shop.models import Order
from rules_engine.models import Execution, HeldMatch, Pause, Recording, Rule, RuleTest, RuleVersion
from rules_engine.testing import refresh
from rules_engine.work.run import drain
from tests import admin_pages, emptying
from tests.integration.admin.conftest import ADD, change_url, client_of, make_user, post_data, posted_by_the_page
from webhooks.models import Endpoint, EndpointState

pytestmark = pytest.mark.django_db

ENGINE = ("rule", "ruleversion", "event", "execution", "heldmatch", "auditentry", "pause", "recording", "run")
VIEWS = (*(f"rules_engine.view_{name}" for name in ENGINE), "webhooks.view_endpoint", "shop.view_order")
#: Each with the permissions that are theirs besides viewing; None is a superuser.
SPECIAL = {
    "tester": ("rules_engine.test_rule",),
    "runner": ("rules_engine.run_rule",),
    "enabler": ("rules_engine.enable_rule",),
    "retrier": ("rules_engine.retry_execution",),
    "replayer": ("webhooks.replay_delivery",),
    "operator": ("rules_engine.release_heldmatch", "rules_engine.add_pause", "webhooks.test_endpoint"),
}
WHO: dict[str, tuple[str, ...] | None] = {
    "root": None,
    "author": (*VIEWS, "rules_engine.add_rule", "rules_engine.change_rule"),
    "viewer": VIEWS,
    **{who: (*VIEWS, *permissions) for who, permissions in SPECIAL.items()},
    # All that is special, and nothing to see it by.
    "blind": tuple(one for many in SPECIAL.values() for one in many if one != "rules_engine.add_pause"),
    "nobody": (),
}
SEEING = frozenset(WHO) - {"blind", "nobody"}
ROOT = frozenset({"root"})
AUTHORS = frozenset({"root", "author"})
NONE: frozenset[str] = frozenset()


def with_root(*who: str) -> frozenset[str]:
    return ROOT | set(who)


@dataclass(frozen=True)
class Row:
    """Who gets the page, who changes something by posting to it, what is posted, and the status of a mere visit."""

    seen: frozenset[str]
    writes: frozenset[str] = NONE
    posted: Callable[[str], Mapping[str, Any]] = field(default=lambda _address: {})
    #: What those get who may post, where there is nothing to see.
    visit: int = 200


def yes(_address: str) -> dict[str, Any]:
    return {"post": "yes"}


def a_rule(_address: str) -> dict[str, Any]:
    return post_data([{"kind": "log_message", "config": '{"message": "x"}'}])


def as_drawn(**others: Any) -> Callable[[str], Mapping[str, Any]]:
    """What a page's own form posts, for somebody who may, with these values in place of its own."""

    def posted(address: str) -> Mapping[str, Any]:
        page = client_of(get_user_model().objects.get(username="root")).get(address).content.decode()
        found = re.search(r'<form[^>]* id="\w+_form"', page)
        assert found, address
        return {**posted_by_the_page(page.replace(found[0], '<form id="rule_form"')), **others}

    return posted


def a_replay(_address: str) -> dict[str, Any]:
    return {"since": "1d", "status": "all", "error_kind": "", "replay": "yes"}


def a_template(_address: str) -> dict[str, Any]:
    return {"model": "shop.order", "becomes": "status=paid",
            "to": "a@example.com", "subject": "x", "body": "x", "operations": ["create"],
            "fields": "status", "keys": "x", "name": "", "message": "x"}  # fmt: skip


def a_removed_test(_address: str) -> dict[str, Any]:
    return {"remove": RuleTest.objects.get().pk}


def a_renamed_test(_address: str) -> dict[str, Any]:
    return {"name": "Renamed", "occurred_at": "2031-05-06 12:00:00", "context": '{"instance": {"pk": 1}}',
            "expected": '{"outcome": "acts"}'}  # fmt: skip


def a_run(address: str) -> dict[str, Any]:
    page = client_of(get_user_model().objects.get(username="root")).get(address).content.decode()
    found = re.search(r'name="version" value="(\d+)"', page)
    return {"start": "1", "version": found[1] if found else ""}


READ_ONLY = ("auditentry", "event", "execution", "heldmatch", "ruleversion", "run")
EDITED = ("rule", "pause", "recording")
VERBS = {"execution": ("retry", "cancel", "replay"), "heldmatch": ("release", "discard"), "run": ("cancel",)}
PAGES: dict[str, Row] = {
    "rules_engine: index": Row(SEEING),
    "webhooks: index": Row(SEEING),
    **{f"rules_engine_{name}_changelist": Row(SEEING) for name in (*READ_ONLY, *EDITED)},
    **{f"rules_engine_{name}_history": Row(SEEING) for name in (*READ_ONLY, *EDITED)},
    **{f"rules_engine_{name}_change": Row(SEEING) for name in READ_ONLY},
    **{f"rules_engine_{name}_add": Row(NONE) for name in READ_ONLY},
    **{f"rules_engine_{name}_delete": Row(NONE) for name in READ_ONLY},
    **{f"rules_engine_{name}_delete": Row(ROOT, ROOT, yes) for name in EDITED},
    # On a rule that is on, an author without enable_rule changes nothing.
    "rules_engine_rule_change": Row(SEEING, ROOT, as_drawn(name="Renamed")),
    "rules_engine_rule_add": Row(AUTHORS, AUTHORS, a_rule),
    "rules_engine_rule_templates": Row(AUTHORS),
    "rules_engine_rule_from_template": Row(AUTHORS, AUTHORS, a_template),
    "rules_engine_rule_fields": Row(AUTHORS),
    "rules_engine_rule_sentence": Row(AUTHORS, NONE, a_rule),
    "rules_engine_rule_test": Row(with_root("tester")),
    "rules_engine_rule_tests": Row(with_root("tester"), with_root("tester"), a_removed_test),
    "rules_engine_rule_edit_test": Row(with_root("tester"), with_root("tester"), a_renamed_test),
    "rules_engine_rule_run": Row(with_root("runner"), with_root("runner"), a_run),
    "rules_engine_run_cancel": Row(NONE, with_root("runner"), visit=405),
    "rules_engine_rule_backtest": Row(with_root("tester")),
    "rules_engine_rule_times": Row(with_root("tester")),
    "rules_engine_rule_shadow": Row(with_root("tester")),
    "rules_engine_rule_switch_on": Row(NONE, with_root("enabler"), visit=405),
    "rules_engine_rule_switch": Row(NONE, with_root("enabler"), lambda _address: {"to": "shadow"}, visit=405),
    "rules_engine_rule_promote": Row(NONE, with_root("enabler"), visit=405),
    "rules_engine_rule_versions": Row(SEEING),
    "rules_engine_rule_restore": Row(NONE, ROOT, visit=405),
    "rules_engine_rule_why": Row(SEEING),
    "rules_engine_rule_why_objects": Row(SEEING),
    "rules_engine_rule_python": Row(SEEING),
    "rules_engine_rule_flow": Row(SEEING),
    "rules_engine_rules_flow": Row(SEEING),
    "rules_engine_overview": Row(SEEING),
    "rules_engine_activity_changelist": Row(SEEING),
    "rules_engine_pause_change": Row(SEEING, ROOT, as_drawn(reason="Another")),
    "rules_engine_pause_add": Row(
        with_root("operator"),
        with_root("operator"),
        lambda _address: {"scope": "rule", "rule_slug": "off", "mode": "hold", "lasts": ""},
    ),
    "rules_engine_recording_change": Row(SEEING, ROOT, as_drawn(until_1="00:00:01")),
    "rules_engine_recording_add": Row(ROOT, ROOT, lambda _address: {"model": "shop.product", "hours": "24"}),
    **{f"rules_engine_execution_{verb}": Row(NONE, with_root("retrier"), visit=405) for verb in VERBS["execution"]},
    **{f"rules_engine_heldmatch_{verb}": Row(NONE, with_root("operator"), visit=405) for verb in VERBS["heldmatch"]},
    "webhooks_endpoint_changelist": Row(SEEING),
    "webhooks_endpoint_history": Row(SEEING),
    "webhooks_endpoint_change": Row(SEEING, ROOT, as_drawn(name="Renamed")),
    "webhooks_endpoint_delete": Row(ROOT, ROOT, yes),
    "webhooks_endpoint_add": Row(ROOT, ROOT, lambda _address: {
        "name": "New", "slug": "new", "url": "https://new.example.com/", "payload_form": "whole", "signing": "v1",
        "verify_tls": "on"}),
    "webhooks_endpoint_test": Row(NONE, with_root("operator"), visit=405),
    "webhooks_endpoint_resume": Row(NONE, ROOT, visit=405),
    "webhooks_endpoint_replay": Row(with_root("replayer"), with_root("replayer"), a_replay),
}  # fmt: skip
#: Actions of lists: who is offered them and changes something by them.
ACTIONS: dict[str, frozenset[str]] = {
    "rule: delete_selected": ROOT,
    "rule: enable": with_root("enabler"),
    "rule: disable": with_root("enabler"),
    "rule: duplicate": AUTHORS,
    "rule: export": SEEING,
    "rule: label": with_root("author"),
    "rule: pause": with_root("operator"),
    "rule: resume": ROOT,
    "pause: delete_selected": ROOT,
    "recording: delete_selected": ROOT,
    "activity: retry_selected": with_root("retrier"),
    "activity: replay_selected": with_root("retrier"),
    "activity: cancel_selected": with_root("retrier"),
    "activity: release_selected": with_root("operator"),
    "activity: discard_selected": with_root("operator"),
    "execution: retry_selected": with_root("retrier"),
    "execution: replay_selected": with_root("retrier"),
    "execution: cancel_selected": with_root("retrier"),
    "heldmatch: release_selected": with_root("operator"),
    "heldmatch: discard_selected": with_root("operator"),
    "endpoint: delete_selected": ROOT,
}
#: The number of an order whose rows are the newest, so that the pages of records are about it.
KEPT_BACK = "KEPT-BACK"
#: Pages that show data of objects, each by its name.
TELLING = {
    *(f"rules_engine_{name}_change" for name in ("event", "execution", "heldmatch", "auditentry")),
    *("rules_engine_activity_changelist", "rules_engine_execution_changelist", "rules_engine_heldmatch_changelist"),
    *("rules_engine_event_changelist", "rules_engine_rule_test"),
}
CHANGES_NOTHING = ("rule: export",)
LATER = datetime(2999, 1, 1, tzinfo=UTC)
#: What is not a change by somebody: what the admin writes of it, and what processes write of themselves.
BESIDES = ("admin.logentry", "rules_engine.heartbeat", "sessions.session")
#: Statements that leave every row as it is; a change that begins by WITH is none of them.
HARMLESS = re.compile(r"(?:SELECT|SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT)\b")


@dataclass(frozen=True)
class Site:
    """Everybody in WHO, and each page by its name: its address, and what is posted to it."""

    users: Mapping[str, Any]
    pages: Mapping[str, str]
    bodies: Mapping[str, Mapping[str, Any]]

    def client(self, who: str) -> Client:
        return client_of(self.users[who]) if who in self.users else Client()


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """Make the rows and users once: each test rolls back what it writes, and the tables are emptied after the last."""
    with django_db_blocker.unblock():
        try:
            fill()
            users = {who: user_of(who) for who in WHO}
            pages = {name: suit(name, address) for name, address in admin_pages.addresses().items()}
            with undone():
                # A page without a row is the matter of the first test.
                bodies = {name: PAGES[name].posted(address) for name, address in pages.items() if name in PAGES}
            yield Site(users, pages, bodies)
        finally:
            emptying.empty()


def user_of(who: str) -> Any:
    permissions = WHO[who]
    return make_user(*(permissions or ()), name=who, is_superuser=permissions is None)


def fill() -> None:
    admin_pages.fill()
    order = Order.objects.create(order_number=KEPT_BACK)
    drain("rules", seconds=30)
    # As an action may say it that quotes the object.
    Execution.objects.filter(event__object_pk=order.pk, state="succeeded").update(summary=f"Packed {KEPT_BACK}.")
    delivered = Execution.objects.filter(kind="webhook", state="pending")[0]
    Execution.objects.filter(pk=delivered.pk).update(state="succeeded")
    EndpointState.objects.update_or_create(endpoint=Endpoint.objects.get(), defaults={"paused_until": LATER})
    Recording.objects.update(until=timezone.now() + timedelta(days=1))
    RuleVersion.objects.filter(rule_slug="mails", number=1).update(number=2)
    mails = RuleVersion.objects.get(rule_slug="mails")
    RuleVersion.objects.create(rule_slug="mails", number=1, digest="x", content={**mails.content, "name": "As it was"})
    refresh()


def suit(name: str, address: str) -> str:
    """The address for a row on which the page does something."""
    rows: Any = {
        "rules_engine_execution_retry": Execution.objects.filter(state="discarded"),
        "rules_engine_execution_cancel": Execution.objects.filter(state="pending"),
        "rules_engine_execution_replay": Execution.objects.filter(kind="webhook", state="succeeded"),
        "rules_engine_heldmatch_release": HeldMatch.objects.filter(state="waiting"),
        "rules_engine_heldmatch_discard": HeldMatch.objects.filter(state="waiting"),
        "rules_engine_rule_switch_on": Rule.objects.filter(slug="off"),
        "rules_engine_rule_switch": Rule.objects.filter(slug="off"),
        "rules_engine_rule_promote": Rule.objects.filter(slug="shadow"),
        "rules_engine_rule_shadow": Rule.objects.filter(slug="shadow"),
    }.get(name)
    if rows is None:
        return address
    return reverse(f"admin:{name}", args=[rows[0].pk])


@contextmanager
def undone() -> Iterator[list[str]]:
    """Give the statements sent that may have changed a row, and take back what they changed."""
    sent: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if not HARMLESS.match(sql):
            sent.append(sql)
        return execute(sql, *arguments)

    with transaction.atomic():
        with connection.execute_wrapper(note):
            yield sent
        transaction.set_rollback(True)


def state() -> dict[str, Any]:
    """Everything in the tables that people change in the admin."""
    found = {}
    for model in apps.get_models():
        label = model._meta.label_lower
        if model._meta.app_label in (*admin_pages.APPS, "shop", "accounts") and label not in BESIDES:
            found[label] = sorted(map(str, model._default_manager.order_by().values_list()))
    return found


def written(before: dict[str, Any], sent: list[str]) -> list[str]:
    """Name the tables that are not as before; they are read again only if something was sent that may change one."""
    if not sent:
        return []
    after = state()
    return [label for label in before if before[label] != after[label]]


def test_the_table_has_a_row_for_every_page_and_every_action(site: Site) -> None:
    assert sorted(site.pages) == sorted(PAGES)
    request = RequestFactory().get("/")
    request.user = site.users["root"]
    ours = [page for model, page in admin.site._registry.items() if model._meta.app_label in admin_pages.APPS]
    found = [f"{page.opts.model_name}: {action}" for page in ours for action in page.get_actions(request)]
    assert sorted(found) == sorted(ACTIONS)


@pytest.mark.parametrize("who", [*WHO, "anonymous"])
def test_who_sees_which_page_and_changes_what_by_it(who: str, site: Site) -> None:
    client, user, before = site.client(who), site.users.get(who), state()
    wrong: dict[str, Any] = {}
    for name, address in site.pages.items():
        row = PAGES[name]
        with undone() as sent:
            visited = client.get(address)
            expected = 200 if who in row.seen else row.visit if who in row.writes else None
            if visited.status_code != expected and (expected or visited.status_code == 200):
                wrong[name] = f"GET: {visited.status_code}"
            if who == "anonymous" and "/login/" not in visited.get("Location", ""):
                wrong[name] = f"GET: {visited.status_code} to somebody who is not signed in"
            if tables := written(before, sent):
                wrong[name] = f"GET wrote {tables}"
        with undone() as sent:
            answer = client.post(address, site.bodies[name])
            tables = written(before, sent)
            if bool(tables) != (who in row.writes):
                wrong[f"{name} (POST)"] = (answer.status_code, tables, said_in(answer))
            elif tables and not LogEntry.objects.filter(user=user).exists():
                wrong[f"{name} (POST)"] = "It is not written down who did it."
            elif not tables and who not in row.seen and answer.status_code not in (302, 403, 404, 405):
                wrong[f"{name} (POST)"] = answer.status_code
    assert wrong == {}


def said_in(answer: Any) -> list[str]:
    page = answer.content.decode()
    return [unescape(re.sub(r"<[^>]+>", " ", one)).strip() for one in re.findall(r"errorlist[^>]*>(.*?)</ul>", page)]


@pytest.mark.parametrize("who", [*WHO, "anonymous"])
def test_who_is_offered_which_action_and_changes_what_by_it(who: str, site: Site) -> None:
    client, user, before = site.client(who), site.users.get(who), state()
    more = {"post": "yes", "lasts": "", "mode": "hold", "reason": "", "add": "a label"}
    lists: dict[str, str] = {}
    wrong = {}
    for name, whom in ACTIONS.items():
        model, action = name.split(": ")
        app = "webhooks" if model == "endpoint" else "rules_engine"
        address = reverse(f"admin:{app}_{model}_changelist")
        # Activity lists the rows of two tables.
        listed = ("execution", "heldmatch") if model == "activity" else (model,)
        rows = [apps.get_model(app, table)._default_manager for table in listed]
        chosen = [str(pk) for table in rows for pk in table.values_list("pk", flat=True)]
        if address not in lists:
            lists[address] = client.get(address).content.decode()
        offered = f'<option value="{action}">' in lists[address]
        with undone() as sent:
            answer = client.post(address, {"action": action, "_selected_action": chosen, **more})
            tables = written(before, sent)
            noted = LogEntry.objects.filter(user=user).exists() if user else False
        does = answer.get("Content-Disposition") is not None if name in CHANGES_NOTHING else bool(tables)
        may = who in whom
        if (offered, does) != (may, may) or noted != (may and name not in CHANGES_NOTHING):
            wrong[name] = {"offered": offered, "does": does, "noted": noted, "status": answer.status_code}
    assert wrong == {}


@pytest.mark.parametrize("is_hidden", [True, False])
def test_no_page_shows_data_of_objects_that_their_own_page_hides(
    site: Site, is_hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From everybody, as from people who see their own objects alone: a superuser's pages are no others."""
    page = admin.site.get_model_admin(Order)
    if is_hidden:
        monkeypatch.setattr(page, "get_queryset", lambda request: Order.objects.exclude(order_number=KEPT_BACK))
    told = set()
    for who in WHO if is_hidden else ROOT:
        client = site.client(who)
        with undone():
            told |= {name for name, address in site.pages.items() if KEPT_BACK in client.get(address).content.decode()}
    assert told == (set() if is_hidden else TELLING)


def test_buttons_are_shown_to_whoever_may_press_them(site: Site) -> None:
    clients = {who: site.client(who) for who in SEEING}
    pages = {change_url(Rule.objects.get(slug=slug)) for slug in ("mails", "shadow", "off")}
    for model, states in ((Execution, ("discarded", "pending", "succeeded")), (HeldMatch, ("waiting",))):
        for one in states:
            row: Any = model._default_manager.filter(state=one).order_by("-pk")[0]
            if one == "succeeded":
                row = Execution.objects.get(kind="webhook", state=one)
            pages.add(reverse(f"admin:rules_engine_{model._meta.model_name}_change", args=[row.pk]))
    pages.add(reverse("admin:webhooks_endpoint_change", args=[Endpoint.objects.get().pk]))
    wrong, pressed = [], set()
    for address in pages:
        drawn = {who: client.get(address).content.decode() for who, client in clients.items()}
        for name, url in buttons(drawn["root"], address):
            pressed.add(name)
            may = PAGES[name].writes | PAGES[name].seen
            wrong += [(who, url) for who, page in drawn.items() if (url in page) != (who in may)]
    assert wrong == []
    assert {
        f"rules_engine_rule_{one}" for one in ("promote", "switch", "test", "backtest", "shadow", "python")
    } <= pressed
    assert {f"rules_engine_execution_{verb}" for verb in VERBS["execution"]} <= pressed
    assert {f"rules_engine_heldmatch_{verb}" for verb in VERBS["heldmatch"]} <= pressed
    assert {f"webhooks_endpoint_{one}" for one in ("test", "resume", "replay")} <= pressed


def buttons(page: str, address: str) -> Iterator[tuple[str, str]]:
    """The pages that belong to the one at the address and that it leads to, by name."""
    base = address.removesuffix("change/")
    app, model = address.split("/")[-5:-3] if address.endswith("/") else ("", "")
    for verb in sorted(set(re.findall(re.escape(base) + r"([\w-]+)/", page)) - {"change", "history", "delete"}):
        yield f"{app}_{model}_{verb.replace('-', '_')}", f"{base}{verb}/"


def test_who_may_not_switch_on_writes_only_rules_that_are_off(site: Site) -> None:
    client = site.client("author")
    row = {"kind": "log_message", "config": '{"message": "x"}'}
    assert client.post(reverse(ADD), post_data([row])).status_code == 302
    made = Rule.objects.get(slug="new-order")
    assert not made.enabled
    assert client.post(change_url(made), {"enabled": "on"}).status_code == 200
    assert client.post(change_url(Rule.objects.get(slug="mails")), post_data([row])).status_code == 403
    assert not Rule.objects.get(slug="new-order").enabled
    renamed = {**post_data([row], slug="new-order", enabled="on"), "name": "Renamed"}
    assert client.post(change_url(made), renamed).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.enabled) == ("Renamed", False)
    assert Pause.objects.count() == 1
