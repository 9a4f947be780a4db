"""What goes around the packs: ready templates, rules as Python, and loading, as administrators and operators do it."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.test import Client, RequestFactory
from django.urls import reverse
from standardwebhooks.webhooks import Webhook

from project.accounts.models import User
from project.clinic.models import Department, Doctor
from project.shop.models import Order, Product
from rules_engine import paused
from rules_engine.live import cache as live
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch, Rule, RuleAction, RuleSetVersion, RuleVersion
from rules_engine.testing import refresh
from tests.acceptance.conftest import Mailbox, Worker
from tests.factories import make_endpoint
from tests.fresh import run
from tests.http_server import MisbehavingServer
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

PACKS = sorted(path.stem for path in (settings.BASE_DIR / "fixtures").glob("*.json"))


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def endpoint(receiver: MisbehavingServer) -> Endpoint:
    """The endpoint that the packs' webhooks name."""
    return make_endpoint("demo", name="Elsewhere", url=receiver.url("/hook"))


def nothing_waits() -> bool:
    waiting = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    return not waiting.exists() and not Execution.objects.live().exists()


def switch(client: Client, action: str, *rules: Rule) -> None:
    chosen = [rule.pk for rule in rules]
    client.post(reverse("admin:rules_engine_rule_changelist"), {"action": action, "_selected_action": chosen})
    wanted = action == "enable"
    assert set(Rule.objects.filter(pk__in=chosen).values_list("enabled", flat=True)) == {wanted}
    refresh()


# X01: ready templates

TEMPLATES: dict[str, dict[str, Any]] = {
    "audit": {"model": "shop.order", "watched": ["status", "total"], "object_name": "{{ instance.order_number }}"},
    "notify": {
        "model": "shop.order",
        "to": "office@shop.example",
        "subject": "New: {{ instance.order_number }}",
        "body": "{{ instance.total }}",
    },
    "cache": {"model": "shop.order", "keys": "order_{{ instance.pk }}\r\norder_list", "cache": ""},
    "status": {"model": "shop.order", "field": "status", "time_field": "status_changed_at"},
    "files": {"model": "shop.product", "watched": "image"},
    "webhook": {"model": "shop.order", "endpoint": "demo", "happens": ["create"]},
}


def from_template(client: Client, key: str) -> Rule:
    """Follow the link, fill in the form, and get a rule that is switched off."""
    address = reverse("admin:rules_engine_rule_from_template", args=[key])
    assert address in client.get(reverse("admin:rules_engine_rule_templates")).content.decode()
    page = client.get(address, {"model": TEMPLATES[key]["model"]}).content.decode()
    assert all(f'name="{name}"' in page for name in TEMPLATES[key])
    before = set(Rule.objects.values_list("pk", flat=True))
    assert client.post(address, TEMPLATES[key]).status_code == 302
    [made] = Rule.objects.exclude(pk__in=before)
    assert not made.enabled
    return made


def test_x01_templates_are_filled_in_and_give_rules_that_work(
    worker: Worker, root: Client, mailbox: Mailbox, receiver: MisbehavingServer, endpoint: Endpoint
) -> None:
    switch(root, "enable", *[from_template(root, key) for key in TEMPLATES])
    order = Order.objects.create(order_number="A-1", total="12.50")
    keys = [f"order_{order.pk}", "order_list"]
    worker.eventually(nothing_waits)
    cache.set_many(dict.fromkeys((*keys, "other"), 1), None)
    order.refresh_from_db()
    order.status = "paid"
    order.save()
    product = Product.objects.create(name="Lamp", price=1, image=ContentFile(b"x", name="x01.png"))
    image, storage = str(product.image.name), product.image.storage
    assert storage.exists(image)
    product.delete()
    worker.eventually(lambda: not storage.exists(image) and not cache.get_many(keys) and nothing_waits())
    assert cache.get("other") == 1
    [message] = mailbox.messages
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert (message["To"], message["Subject"]) == ("office@shop.example", "New: A-1")
    assert text.get_content().strip() == "12.50"
    assert "12.50" in html.get_content(), "the same is there as HTML"
    [request] = receiver.requests
    content = Webhook(endpoint.secret).verify(request.body, {name.lower(): value for name, value in request.headers})
    assert (content["type"], content["data"]["instance"]["id"]) == ("shop.order.create", order.pk)
    assert AuditEntry.objects.filter(operation="UPDATE", object_text="A-1").exists()
    assert AuditEntry.objects.filter(operation="STATUS", note="draft → paid").exists()
    order.refresh_from_db()
    assert order.status_changed_at is not None
    assert not Execution.objects.exclude(state="succeeded").exists()


def test_x01_what_is_filled_in_wrongly_is_said_and_makes_no_rule(root: Client) -> None:
    address = reverse("admin:rules_engine_rule_from_template", args=["status"])
    page = root.post(address, {"model": "shop.order", "field": "statsu"}).content.decode()
    assert "statsu is not one of the available choices" in html.unescape(page)
    assert not Rule.objects.exists()


# X02: as Python

HAPPENS = """
import sys, django
django.setup()
if sys.argv[1] == "as python":
    import adopted
from django.core.files.base import ContentFile
from project.accounts.models import User
ada = User.objects.create_user("ada", "ada@example.org", first_name="Ada", cv=ContentFile(b"1", name="first.pdf"))
User.objects.create_user("nobody")
ada.cv = ContentFile(b"2", name="second.pdf")
ada.save()
ada.first_name = "Countess"
ada.save()
User.objects.create(username="kept", cv=ContentFile(b"3", name="kept.pdf"))
gone = User.objects.create(username="gone", cv=ContentFile(b"4", name="gone.pdf"))
gone.delete()
"""


def test_x02_the_module_that_is_shown_does_what_the_rules_did(
    worker: Worker, outside: dict[str, str], root: Client, mailbox: Mailbox, tmp_path: Path
) -> None:
    call_command("rulepack", "install", "accounts", verbosity=0)
    refresh()
    rules = list(Rule.objects.filter(slug__regex="^a0[12]-"))
    cvs = Path(settings.MEDIA_ROOT) / "cv"

    def outcome(how: str) -> Any:
        for left in cvs.glob("*"):
            left.unlink()
        mailbox.messages.clear()
        with paused():
            User.objects.exclude(username="root").delete()
        run({**outside, "PYTHONPATH": f"{tmp_path}:{settings.BASE_DIR}"}, "-c", HAPPENS, how)
        worker.eventually(nothing_waits)
        mails = [(one["To"], one["From"], one["Subject"], one.get_content()) for one in mailbox.messages]
        return mails, {path.name for path in cvs.glob("*")}

    by_rules = outcome("as rules")
    executed = Execution.objects.count()
    assert [mail[:3] for mail in by_rules[0]] == [("ada@example.org", "demo@example.com", "Welcome, Ada")]
    assert by_rules[1] == {"second.pdf", "kept.pdf"}
    shown = [shown_as_python(root, rule) for rule in rules]
    (tmp_path / "adopted.py").write_text("\n".join(f"import {name}" for name in stored(shown, rules, tmp_path)))
    switch(root, "disable", *rules)
    assert outcome("as python") == by_rules
    assert Execution.objects.count() == executed, "No rule had a hand in it."


def shown_as_python(client: Client, rule: Rule) -> str:
    """The text that the rule's page shows, as somebody copies it; the command prints the same."""
    page = client.get(reverse("admin:rules_engine_rule_python", args=[rule.pk])).content.decode()
    found = re.search(r'<pre[^>]*class="rules-source"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None, page
    text, printed = re.sub(r"<[^>]+>", "", html.unescape(found[1])), io.StringIO()
    call_command("rules_explain", "--python", rule.slug, stdout=printed)
    assert printed.getvalue().strip() == text.strip()
    return text


def stored(texts: list[str], rules: list[Rule], folder: Path) -> list[str]:
    """Each in a module of its own; gives their names."""
    names = [rule.slug.replace("-", "_") for rule in rules]
    for name, text in zip(names, texts, strict=True):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return names


# X03: loading packs


def state() -> Any:
    """All that installing may change."""
    return (
        RuleSetVersion.current(),
        list(RuleVersion.objects.order_by("pk").values()),
        list(Rule.objects.order_by("pk").values()),
        list(RuleAction.objects.order_by("pk").values()),
    )


def install(how: str, pack: str) -> str:
    out = io.StringIO()
    call_command(*(["loaddata", pack] if how == "loaddata" else ["rulepack", "install", pack]), stdout=out)
    refresh()
    return out.getvalue()


def a_doctor() -> None:
    Doctor.objects.create(first_name="Ada", last_name="Byron", email="reader@example.org", slug="ada")


def an_order() -> None:
    Order.objects.create(order_number="A-1", customer=User.objects.create_user("reader", "reader@example.org"))


def a_user() -> None:
    User.objects.create_user("reader", "reader@example.org")


def an_error() -> None:
    try:
        raise LookupError("reader@example.org")
    except LookupError:
        got_request_exception.send(sender=object, request=RequestFactory().get("/broken/"))
    HeldMatch.objects.update(due_at="2001-01-01T00:00:00Z")  # five minutes go by


#: For each pack something that one of its rules mails about.
DEEDS: dict[str, Callable[[], None]] = {"accounts": a_user, "clinic": a_doctor, "shop": an_order, "site": an_error}


@pytest.mark.parametrize("how", ["loaddata", "rulepack install"])
@pytest.mark.parametrize("pack", PACKS)
def test_x03_a_pack_works_however_it_is_loaded_and_once_only(
    worker: Worker, endpoint: Endpoint, mailbox: Mailbox, how: str, pack: str
) -> None:
    install(how, pack)
    fields = [one["fields"] for one in json.loads((settings.BASE_DIR / "fixtures" / f"{pack}.json").read_text())]
    shipped = {one["slug"]: one.get("enabled", True) for one in fields if "slug" in one}
    assert dict(Rule.objects.values_list("slug", "enabled")) == shipped
    for slug, is_on in shipped.items():
        assert (live.current().find(slug) is not None) == is_on, slug
    before = state()
    said = install(how, pack)
    assert how == "loaddata" or "Nothing to change" in said
    assert [without_times(one) for one in state()[1:]] == [without_times(one) for one in before[1:]]
    assert how == "loaddata" or state() == before
    DEEDS[pack]()
    worker.eventually(lambda: mailbox.messages and nothing_waits())
    assert "reader@example.org" in "".join(message.as_string() for message in mailbox.messages)
    by_pack = Execution.objects.filter(rule_slug__in=shipped)
    assert by_pack.exists()
    assert not by_pack.exclude(state="succeeded").exists()


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in ("updated_at", "created_at")} for row in rows]


# X04: loading ordinary data


def test_x04_loading_data_fires_nothing_unless_a_rule_asks_for_it(
    worker: Worker, endpoint: Endpoint, mailbox: Mailbox, tmp_path: Path
) -> None:
    for pack in PACKS:
        install("rulepack install", pack)
    dump = str(tmp_path / "data.json")
    with paused():
        ada = User.objects.create_user("ada", "ada@example.org")
        ada.groups.add(Group.objects.create(name="Readers"))
        doctor = Doctor.objects.create(first_name="Ada", last_name="Byron", email="doctor@example.org", slug="ada")
        doctor.departments.add(Department.objects.create(name="Children"))
        Order.objects.create(order_number="A-1", customer=ada)
        labels = ["accounts.user", "auth.group", "clinic.department", "clinic.doctor", "shop.order"]
        call_command("dumpdata", *labels, natural_foreign=True, output=dump, verbosity=0)

    def load() -> None:
        with paused():
            for model in (Order, Doctor, Department, User):
                model._default_manager.all().delete()
        call_command("loaddata", dump, verbosity=0)
        assert Doctor.objects.get().departments.get().name == "Children"
        assert Order.objects.get().customer == User.objects.get()

    load()
    assert (Event.objects.count(), HeldMatch.objects.count()) == (0, 0)
    Rule.objects.filter(slug="a01-user-welcome-mail").update(raw=True)
    refresh()
    load()
    worker.eventually(lambda: mailbox.messages and nothing_waits())
    [message] = mailbox.messages
    assert message["To"] == "ada@example.org"
    assert set(Execution.objects.values_list("rule_slug", flat=True)) == {"a01-user-welcome-mail"}
