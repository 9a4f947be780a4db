"""The scenarios of the pack ``site``: real requests, migrations and signals of the site's own, heard by rules."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections, models
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.test.utils import isolate_apps
from django.urls import path, reverse
from standardwebhooks.webhooks import Webhook

from project.accounts.models import User
from project.accounts.signals import cv_checked
from rules_engine.errors import InvalidRule
from rules_engine.models import Event, Execution, HeldMatch, Rule
from rules_engine.rules.signals import hearing
from rules_engine.testing import create_rule, refresh
from tests.acceptance.conftest import Mailbox, Worker, working
from tests.fresh import fresh_database, manage, run
from tests.http_server import MisbehavingServer

pytestmark = pytest.mark.django_db(transaction=True)


def download(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(name, status=200 if name.startswith("here") else 404)


def fail(request: HttpRequest, kind: str) -> HttpResponse:
    raise type(kind, (Exception,), {})("password=canary is wrong")


urlpatterns = [
    path("media/<str:name>", download),
    path("fail/<str:kind>/", fail),
    path("admin/", admin.site.urls),
]


@pytest.fixture
def pack(worker: Worker, settings: Any) -> None:
    """The pack is installed, as an operator does it, on a site that has downloads and pages that fail."""
    settings.ROOT_URLCONF = __name__
    settings.DEBUG_PROPAGATE_EXCEPTIONS = False
    call_command("rulepack", "install", "site", verbosity=0)
    refresh()


@pytest.fixture
def ask(pack: None, live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Sends a request to a real web server, and gives the status of its answer."""
    # Threads end with the request here, and with them nobody is left to close what they would keep open.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    host = urlsplit(live_server.url).netloc

    def request(address: str, method: str = "GET") -> int:
        client = http.client.HTTPConnection(host, timeout=60)
        client.request(method, address)
        response = client.getresponse()
        response.read()
        client.close()
        return response.status

    return request


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def nothing_waits() -> bool:
    waiting = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    return not waiting.exists() and not Execution.objects.live().exists()


def time_goes_by(**time: int) -> None:
    """What waits is due that much earlier, and what was decided lies that much further back."""
    step = timedelta(**time)
    HeldMatch.objects.update(due_at=F("due_at") - step, decided_at=F("decided_at") - step)


def switched_on(client: Client, *slugs: str) -> None:
    """The rules are enabled by the admin's own action."""
    chosen = list(Rule.objects.filter(slug__in=slugs).values_list("pk", flat=True))
    client.post(reverse("admin:rules_engine_rule_changelist"), {"action": "enable", "_selected_action": chosen})
    assert Rule.objects.filter(slug__in=slugs, enabled=True).count() == len(slugs)
    refresh()


def test_t01_downloads_are_counted_and_one_in_ten_is_logged(worker: Worker, ask: Callable[..., int]) -> None:
    assert [ask("/media/elsewhere"), ask("/admin/login/")] == [404, 200]
    assert {ask(f"/media/here-{number}") for number in range(199)} == {200}
    # A request is finished only after its answer was read.
    worker.eventually(lambda: HeldMatch.objects.count() == 200)
    sampled = Execution.objects.filter(rule_slug="t01-downloads-sampled")
    assert 2 <= sampled.count() <= 80, "About twenty of two hundred; by chance it is outside once in ten million runs."
    worker.eventually(lambda: not Execution.objects.live().exists())
    assert worker.log.count("GET /media/") == sampled.count()
    assert "in a minute" not in worker.log
    time_goes_by(minutes=1)
    worker.eventually(nothing_waits)
    assert "200 downloads in a minute, the last of /media/here-19" in worker.log
    assert worker.log.count("in a minute") == 1
    assert "/admin/" not in worker.log


def test_t01_a_request_of_a_chosen_method_and_path_is_logged(worker: Worker, ask: Callable[..., int]) -> None:
    assert ask("/admin/login/") == 200
    assert ask("/admin/login/", "POST") == 403, "Without a token the form is refused, and the attempt is known."
    worker.eventually(lambda: "Somebody signs in at /admin/login/" in worker.log and nothing_waits())
    assert worker.log.count("Somebody signs in") == 1
    [event] = Event.objects.all()
    assert (event.signal, event.context["request"]["method"]) == ("request_started", "POST")


def test_t02_the_same_error_is_mailed_once_with_how_often_it_happened(
    worker: Worker, ask: Callable[..., int], mailbox: Mailbox
) -> None:
    for kind in ("Broken", "Broken", "Other", "Broken"):
        assert ask(f"/fail/{kind}/?token=canary") == 500
    assert HeldMatch.objects.filter(state=HeldMatch.State.WAITING).count() == 4
    time_goes_by(minutes=5)
    worker.eventually(lambda: len(mailbox.to("admin@example.com")) == 2 and nothing_waits())
    by_kind = {str(message["Subject"]).split()[0]: message for message in mailbox.messages}
    assert by_kind.keys() == {"Broken", "Other"}
    assert f"in {__name__}:" in str(by_kind["Broken"]["Subject"])
    broken, other = (by_kind[kind].get_content() for kind in ("Broken", "Other"))
    assert "It happened 3 times in five minutes, at last at" in broken
    assert "in GET /fail/Broken/." in broken
    assert "times" not in other
    assert "not mailed" not in broken + other
    assert "canary" not in broken + other + worker.log
    held = HeldMatch.objects.filter(state=HeldMatch.State.DROPPED)
    assert {match.reason for match in held} == {"A later match of the same acts in its place."}


def test_t02_twenty_errors_an_hour_are_mailed_and_the_others_counted(
    worker: Worker, ask: Callable[..., int], mailbox: Mailbox
) -> None:
    for number in range(22):
        ask(f"/fail/Error{number}/")
    time_goes_by(minutes=5)
    worker.eventually(lambda: len(mailbox.messages) == 20 and nothing_waits())
    held = HeldMatch.objects.filter(state=HeldMatch.State.DROPPED)
    assert [match.reason for match in held] == ["The rule acts at most 20 times in 3,600 seconds."] * 2
    late = held.first()
    assert late is not None
    kind = late.event.context["signal"]["exception"]["type"]
    time_goes_by(hours=1)
    ask(f"/fail/{kind}/")
    ask(f"/fail/{kind}/")
    time_goes_by(minutes=5)
    worker.eventually(lambda: len(mailbox.messages) == 21)
    assert str(mailbox.messages[-1]["Subject"]).startswith(f"{kind} in ")
    text = mailbox.messages[-1].get_content()
    assert "It happened 2 times in five minutes" in text
    assert "Since the last mail 2 more errors of whatever kind were not mailed." in text


ENDPOINT = """
import sys, django
django.setup()
from rules_engine.models import Rule
from webhooks.models import Endpoint
print(Endpoint.objects.create(slug="demo", name="Elsewhere", url=sys.argv[1]).secret)
Rule.objects.filter(slug="t03-deploy-webhook").update(enabled=True)
"""


@pytest.fixture
def deployed(outside: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of processes of a site that was migrated once, and has the pack."""
    with fresh_database(tmp_path) as url:
        environment = {**outside, "DATABASE_URL": url}
        manage(environment, "migrate", "--verbosity", "0")
        manage(environment, "rulepack", "install", "site")
        yield environment


def test_t03_a_deploys_migrations_are_logged_and_posted_once(
    deployed: dict[str, str], receiver: MisbehavingServer, tmp_path: Path
) -> None:
    secret = run(deployed, "-c", ENDPOINT, receiver.url("/deploys")).stdout.strip()
    with working(deployed, "celery,rules,webhooks", tmp_path, by_command=True) as worker:
        manage(deployed, "migrate", "shop", "zero", "--verbosity", "0")
        worker.eventually(lambda: len(receiver.requests) == 1)
        for line in ("Migrations begin on default: shop.0001", "Migrations are done on default: shop.0001"):
            worker.eventually(lambda line=line: line in worker.log)
        manage(deployed, "migrate", "--verbosity", "0")
        worker.eventually(lambda: len(receiver.requests) == 2 and worker.log.count("Migrations are done") == 2)
        manage(deployed, "migrate", "--verbosity", "0")
        marker = "from rules_engine.models import Event; print(Event.objects.count())"
        events = run(deployed, "-c", f"import django; django.setup(); {marker}").stdout.strip()
        assert events == "4", "A deploy without migrations is no event: two before were two each, begun and done."
        assert (len(receiver.requests), worker.log.count("Migrations begin")) == (2, 2)
    for request in receiver.requests:
        headers = {name.lower(): value for name, value in request.headers}
        content = Webhook(secret).verify(request.body, headers)
        assert content == json.loads(request.body)
        assert content["type"] == "post_migrate"
        assert content["data"]["signal"]["plan"][0].startswith("shop.0001")


def connect_once_more() -> None:
    """In a thread of its own, as another request would."""

    def work() -> None:
        connections["default"].ensure_connection()
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@isolate_apps("project.demo")
def make_a_model() -> None:
    """As code does that makes models while it runs."""
    type("Late", (models.Model,), {"__module__": "project.demo.late", "Meta": type("Meta", (), {"app_label": "demo"})})


def change_a_setting() -> None:
    with override_settings(SITE_NAME="Chairs"):
        cache.set("used", 1)


def render_a_template() -> None:
    assert Client().get(reverse("admin:login")).status_code == 200


LISTENED = {
    "t04-class-prepared": (make_a_model, "A model was made: demo.late", "Django sends it while it starts"),
    "t04-connection-created": (connect_once_more, "A connection to default (", "The first connection of a process"),
    "t04-setting-changed": (change_a_setting, "The setting SITE_NAME is Chairs", "Only Django's test tools send it"),
    "t04-template-rendered": (render_a_template, "Rendered: admin/login.html", "Only Django's test tools send it"),
}


@pytest.mark.parametrize("slug", LISTENED)
def test_t04_each_is_heard_where_it_is_switched_on_and_said_where_not(
    worker: Worker, pack: None, root: Client, slug: str
) -> None:
    happen, line, remark = LISTENED[slug]
    happen()
    switched_on(root, slug)
    # What the client did until here is told as well: a template was rendered, or a connection made.
    Event.objects.all().delete()
    Execution.objects.all().delete()
    assert line not in worker.log, "A rule that is switched off hears nothing."
    rule = Rule.objects.get(slug=slug)
    page = root.get(reverse("admin:rules_engine_rule_change", args=[rule.pk])).content.decode()
    [said] = hearing(rule.spec())
    assert said.startswith(f"{rule.signals[0]}: {remark}")
    assert page.count(remark.replace("'", "&#x27;")) >= 2, "On the rule, and where signals are chosen."
    happen()
    worker.eventually(lambda: line in worker.log)


def test_t05_a_signal_named_by_its_path_is_heard_with_its_arguments(
    worker: Worker, pack: None, root: Client, mailbox: Mailbox
) -> None:
    ada = User.objects.create_user("ada", "ada@example.org", first_name="Ada")
    User.objects.create_user("tom", "tom@example.org")
    sent = {"is_accepted": False, "checked_by": "Grace", "remarks": "It has no dates."}
    assert cv_checked.send(sender=User, instance=ada, **sent)
    worker.eventually(lambda: mailbox.messages and nothing_waits())
    [message] = mailbox.messages
    assert (message["To"], message["Subject"]) == ("ada@example.org", "Your CV was not accepted")
    assert message.get_content().startswith("Hello Ada,")
    assert "Grace has looked at your CV:" in message.get_content()
    assert "It has no dates." in message.get_content()
    rule = Rule.objects.get(slug="t05-cv-checked")
    page = root.get(reverse("admin:rules_engine_rule_change", args=[rule.pk])).content.decode()
    assert "A CV was checked" in page
    assert "Who looked at it, as text" in page


def test_t05_an_undocumented_argument_is_said_when_the_rule_is_saved(pack: None) -> None:
    with pytest.raises(InvalidRule, match=r'carries no "remark".* Did you mean "remarks"'):
        create_rule(signals=["accounts.cv_checked"], actions=[("log_message", {"message": "{{ signal.remark }}"})])
