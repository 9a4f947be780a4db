"""Something breaks: whoever asked for it in the admin is mailed by a real worker, and puts it right by a click."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from project.clinic.models import Doctor, Patient
from project.shop.models import Tag
from rules_engine.actions import Action, ActionContext, ActionResult, Route
from rules_engine.models import Event, Execution, Heartbeat, HeldMatch, Pause, Rule
from rules_engine.rules import registry
from rules_engine.testing import create_rule, refresh
from rules_engine.work.troubles import noticing
from tests.acceptance.conftest import Worker, working
from tests.factories import make_doctor, make_endpoint
from tests.http_server import MisbehavingServer, answer
from tests.mail_server import MailServer, mail_goes_to
from webhooks.endpoints.policy import FAILURES_BEFORE_PAUSE
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

OPS = "ops@clinic.example"
WELCOME = ("send_email", {"to": ["{{ instance.email }}"], "subject": "Welcome", "body": "Hello"})
NOBODY = "550 No such user"


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server that knows all but one."""
    with MailServer() as running:
        running.recipients["gone@clinic.example"] = NOBODY
        yield running


@pytest.fixture
def begin(outside: dict[str, str], server: MailServer, tmp_path: Path) -> Callable[[], AbstractContextManager[Worker]]:
    """What starts a worker."""
    own = {"DJANGO_SETTINGS_MODULE": "tests.acceptance.hasty", "EMAIL_PORT": str(server.port)}
    return partial(working, {**outside, **own}, "celery,rules,webhooks", tmp_path)


@pytest.fixture
def crew(begin: Callable[[], AbstractContextManager[Worker]]) -> Iterator[Worker]:
    """A worker that is there from the beginning."""
    with begin() as ready:
        yield ready


@pytest.fixture
def wish(admin_client: Client) -> Callable[[str], None]:
    """Fills in the ready template, and switches on what came of it."""

    def fill_in(about: str) -> None:
        asked = {"about": about, "to": OPS, "hours": 1}
        made = admin_client.post(reverse("admin:rules_engine_rule_from_template", args=["trouble"]), asked)
        assert made.status_code == 302, made.context_data["form"].errors
        rule = Rule.objects.get(enabled=False)
        chosen = {"action": "enable", "_selected_action": [rule.pk]}
        admin_client.post(reverse("admin:rules_engine_rule_changelist"), chosen)
        assert not Rule.objects.filter(enabled=False).exists()
        refresh()

    return fill_in


def mailed(server: MailServer, address: str = OPS) -> Mapping[str, str]:
    """The subjects and texts of what was mailed to that address."""
    told = zip(server.messages, server.to, strict=False)  # while one arrives
    return {str(message["Subject"]): _plain(message) for message, to in told if to == address}


def _plain(message: EmailMessage) -> str:
    body = message.get_body(["plain"])
    assert body is not None
    return str(body.get_content())


def nothing_waits() -> bool:
    return not Execution.objects.live().exists()


def text_of(client: Client, name: str, *args: Any) -> str:
    return unescape(client.get(reverse(f"admin:{name}", args=args)).content.decode())


def test_what_is_given_up_is_mailed_about(crew: Worker, server: MailServer, wish: Callable[[str], None]) -> None:
    wish("given_up")
    create_rule(model=Doctor, slug="welcome", actions=[WELCOME])
    make_doctor(email="gone@clinic.example")
    crew.eventually(lambda: mailed(server) and nothing_waits())
    [(subject, text)] = mailed(server).items()
    assert subject == "Given up: send_email of welcome"
    assert "No such user" in text
    its = Execution.objects.get(rule_slug="welcome").pk
    assert f"https://clinic.example/admin/rules_engine/execution/{its}" in text


def test_a_rule_about_it_whose_own_mail_fails_does_not_go_in_a_circle(
    crew: Worker, server: MailServer, wish: Callable[[str], None]
) -> None:
    wish("given_up")
    server.recipients[OPS] = NOBODY
    create_rule(model=Doctor, slug="welcome", actions=[WELCOME])
    make_doctor(email="gone@clinic.example")
    crew.eventually(lambda: Execution.objects.filter(state="discarded").count() == 2 and nothing_waits())
    # It is held back for an hour: what a circle would lead to is on record as an event all the same.
    assert Event.objects.filter(signal="rules_engine.execution_given_up").count() == 1
    assert server.asked == ["gone@clinic.example", OPS]


def test_a_failing_rule_is_paused_until_one_click_and_loses_nothing(
    crew: Worker, server: MailServer, wish: Callable[[str], None], admin_client: Client
) -> None:
    wish("failing")
    rule = create_rule(model=Doctor, slug="welcome", name="Welcome", actions=[WELCOME])
    for _ in range(3):
        make_doctor(email="gone@clinic.example")
    crew.eventually(lambda: Pause.objects.exists() and mailed(server) and mailed(server, "admin@example.com"))
    refresh()
    assert "3 of 3 times. The last error:" in mailed(server)["The rule Welcome keeps failing"]
    own = mailed(server, "admin@example.com")["The rule Welcome keeps failing and was paused"]
    assert "No such user" in own
    page = reverse("admin:rules_engine_rule_change", args=[rule.pk])
    assert f"https://clinic.example{page}" in own
    shown = text_of(admin_client, "rules_engine_rule_change", rule.pk)
    assert "by itself, because it keeps failing" in shown
    assert "It failed 3 times in a row." in shown
    assert "Its latest failure:" in shown

    make_doctor(email="ada@clinic.example")
    assert Execution.objects.live().exists() or HeldMatch.objects.filter(state=HeldMatch.State.WAITING).exists()
    assert "ada@clinic.example" not in server.to
    resume = reverse("admin:rules_engine_pause_delete", args=[Pause.objects.get().pk])
    assert f'action="{resume}"' in shown
    assert admin_client.post(resume, {"post": "yes"}).status_code == 302
    crew.eventually(lambda: "ada@clinic.example" in server.to)
    refresh()
    make_doctor(email="eve@clinic.example")
    crew.eventually(lambda: "eve@clinic.example" in server.to and nothing_waits())
    assert (server.to.count("ada@clinic.example"), Pause.objects.count()) == (1, 0)
    assert "by itself, because it keeps failing" not in text_of(admin_client, "rules_engine_rule_change", rule.pk)


def test_a_dead_endpoint_and_that_it_was_resumed_are_mailed_about(
    crew: Worker, server: MailServer, receiver: MisbehavingServer, wish: Callable[[str], None], admin_client: Client
) -> None:
    wish("endpoint")
    endpoint = make_endpoint("crm", url=receiver.url("/hooks"))
    receiver.on("/hooks", answer(500))
    create_rule(model=Doctor, slug="push", actions=[("webhook", {"endpoint": "crm"})])
    for _ in range(FAILURES_BEFORE_PAUSE + 1):
        make_doctor()
    crew.eventually(lambda: mailed(server))
    [(subject, text)] = mailed(server).items()
    assert subject == "The endpoint CRM"
    assert "crm (127.0.0.1): " in text
    assert "500" in text
    kept = Execution.objects.filter(rule_slug="push").live().count()
    assert kept, "What was left should wait for the endpoint."

    receiver.on("/hooks", answer(200))
    admin_client.post(reverse("admin:webhooks_endpoint_resume", args=[endpoint.pk]))
    crew.eventually(lambda: len(server.to) == 2 and nothing_waits())
    assert "It was resumed by hand, and is sent deliveries again." in mailed(server)["The endpoint CRM"]
    assert Execution.objects.filter(rule_slug="push", state="succeeded").count() >= kept


def test_an_endpoint_that_is_gone_and_then_enabled_is_mailed_about(
    crew: Worker, server: MailServer, receiver: MisbehavingServer, wish: Callable[[str], None]
) -> None:
    wish("endpoint")
    make_endpoint("crm", url=receiver.url("/hooks"))
    receiver.on("/hooks", answer(410))
    create_rule(model=Doctor, slug="push", actions=[("webhook", {"endpoint": "crm"})])
    make_doctor()
    crew.eventually(lambda: mailed(server) and mailed(server, "admin@example.com"))
    assert "It answered 410: the receiver is gone for good." in mailed(server)["The endpoint CRM"]
    assert list(mailed(server, "admin@example.com")) == ["The webhook endpoint CRM was disabled"]

    endpoint = Endpoint.objects.get()
    endpoint.enabled = True
    endpoint.save()
    crew.eventually(lambda: server.to.count(OPS) == 2 and nothing_waits())
    assert "It was enabled by hand, and is sent deliveries again." in mailed(server)["The endpoint CRM"]


class Reports(Action):
    """A kind of the site's own, whose work waits in a queue of its own."""

    kind = "nightly_report"
    label = "Nightly report"
    schema = {"type": "object", "keys": {}}

    def route(self, config: Mapping[str, Any]) -> Route:
        return Route("reports")

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        return ActionResult("printed")


def test_a_queue_that_nobody_serves_is_mailed_about(
    begin: Callable[[], AbstractContextManager[Worker]],
    server: MailServer,
    wish: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry._actions, Reports.kind, Reports())
    wish("workers")
    create_rule(model=Doctor, slug="report", actions=[(Reports.kind, {})])
    for _ in range(5):
        make_doctor()
    Execution.objects.update(next_attempt_at=Now() - timedelta(hours=1))
    with begin() as worker:
        worker.eventually(lambda: mailed(server) and not Execution.objects.live().filter(queue="rules").exists())
    [(subject, text)] = mailed(server).items()
    assert subject == "Nothing is done"
    assert "which is 36" in text
    assert Execution.objects.filter(rule_slug="report", state="pending").count() == 5


def test_that_no_worker_is_there_is_mailed_by_cron(
    server: MailServer, wish: Callable[[str], None], settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    mail_goes_to(settings, server.port)
    noticing.reset()
    wish("workers")
    Heartbeat.objects.create(kind="sweep", host="there")
    Heartbeat.objects.update(seen_at=Now() - timedelta(hours=1))
    for _ in range(2):
        call_command("rules_troubles", "--send")
    assert "no_worker: seconds 36" in capsys.readouterr().out
    assert server.to == [OPS]
    assert "which is 36" in mailed(server)["Nothing is done"]


def test_rules_that_set_off_each_other_without_end_are_mailed_about(
    crew: Worker, server: MailServer, wish: Callable[[str], None]
) -> None:
    wish("chain")
    named = [{"field": "name", "value": "Tom"}]
    for model, slug, made in ((Doctor, "first", "clinic.patient"), (Patient, "second", "shop.tag"), (Tag, "third", "")):
        create_rule(model=model, slug=slug, actions=[("create_object", {"model": made or "shop.tag", "values": named})])
    make_doctor()
    crew.eventually(lambda: mailed(server) and nothing_waits())
    [(subject, text)] = mailed(server).items()
    assert subject == "Rules set off each other too often"
    assert 'Not carried out: ["third"]' in text
    assert server.to == [OPS]
