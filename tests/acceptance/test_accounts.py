"""The scenarios of the pack ``accounts``: users come, go and sign in, and a real worker does the rest."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import transaction
from django.db.models import F
from django.test import Client
from django.urls import reverse

from project.accounts.models import User
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch
from rules_engine.testing import refresh
from tests.acceptance.conftest import Mailbox, Worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pack(worker: Worker) -> None:
    """The pack is installed, as an operator does it."""
    call_command("rulepack", "install", "accounts", verbosity=0)
    refresh()


@pytest.fixture
def cvs() -> Path:
    """The folder of the CVs: the worker's as well."""
    from django.conf import settings

    folder = Path(settings.MEDIA_ROOT) / "cv"
    for left in folder.glob("*"):
        left.unlink()
    return folder


def cv(text: str = "x", name: str = "ada.pdf") -> ContentFile[Any]:
    return ContentFile(text.encode(), name=name)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*")}


def nothing_waits() -> bool:
    waiting = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    return not waiting.exists() and not Execution.objects.live().exists()


def summaries() -> list[str]:
    return list(Execution.objects.filter(kind="delete_files").order_by("pk").values_list("summary", flat=True))


def test_a01_a_new_user_is_welcomed_once_and_only_after_the_commit(
    worker: Worker, pack: None, mailbox: Mailbox
) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        User.objects.create_user("lost", "lost@example.org")
        raise ZeroDivisionError
    User.objects.create_user("nobody")
    ada = User.objects.create_user("ada", "ada@example.org", first_name="Ada")
    ada.save()
    User.objects.create_user("tom", "tom@example.org")
    worker.eventually(lambda: len(mailbox.messages) == 2 and nothing_waits())
    [to_ada], [to_tom] = mailbox.to("ada@example.org"), mailbox.to("tom@example.org")
    assert to_ada["Subject"] == "Welcome, Ada"
    assert "You sign in as ada." in to_ada.get_content()
    assert "Hello tom," in to_tom.get_content(), "Who has no first name is called by the name to sign in with."


def test_a01_a_user_made_in_the_admin_is_welcomed(worker: Worker, pack: None, mailbox: Mailbox) -> None:
    root = User.objects.create_superuser("root")
    client = Client()
    client.force_login(root)
    given = {
        "username": "ada",
        "email": "ada@example.org",
        "password1": "Chair-and-9-tables",
        "usable_password": "true",
    }
    answer = client.post(reverse("admin:accounts_user_add"), {**given, "password2": given["password1"]})
    assert answer.status_code == 302, answer.content.decode()
    worker.eventually(lambda: mailbox.to("ada@example.org"))
    assert given["password1"] not in str([message.as_string() for message in mailbox.messages])


def test_a02_the_cv_of_a_deleted_user_goes_and_those_of_others_stay(worker: Worker, pack: None, cvs: Path) -> None:
    ada = User.objects.create(username="ada", cv=cv())
    User.objects.create(username="tom", cv=cv(name="tom.pdf"))
    shared = User.objects.create(username="twin", cv="cv/tom.pdf")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ada.delete()
        raise ZeroDivisionError
    assert names_in(cvs) == {"ada.pdf", "tom.pdf"}
    User.objects.get(username="ada").delete()
    shared.delete()
    worker.eventually(lambda: len(summaries()) == 2 and nothing_waits())
    assert names_in(cvs) == {"tom.pdf"}
    assert summaries() == ["Deleted cv/ada.pdf", "Kept cv/tom.pdf (in use by accounts.user.cv)"]


def test_a02_a_user_whose_cv_is_gone_is_deleted_all_the_same(worker: Worker, pack: None, cvs: Path) -> None:
    User.objects.create(username="nobody").delete()
    ada = User.objects.create(username="ada", cv=cv())
    (cvs / "ada.pdf").unlink()
    ada.delete()
    worker.eventually(lambda: summaries() and nothing_waits())
    assert summaries() == ["Already gone: cv/ada.pdf"]
    assert not Execution.objects.exclude(state="succeeded").exists()


def test_a02_a_cv_that_is_replaced_or_taken_away_goes(worker: Worker, pack: None, cvs: Path) -> None:
    root = User.objects.create_superuser("root")
    ada = User.objects.create(username="ada", cv=cv("old"))
    client = Client()
    client.force_login(root)
    page = client.get(address := reverse("admin:accounts_user_change", args=[ada.pk]))
    form = page.context["adminform"].form
    posted = {name: value for name in form.fields if (value := form[name].value()) not in (None, "", False)}
    posted |= {"date_joined_0": "2031-05-06", "date_joined_1": "10:30:00", "cv": cv("new", "newer.pdf")}
    answer = client.post(address, posted)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    worker.eventually(lambda: summaries() and nothing_waits())
    assert (names_in(cvs), (cvs / "newer.pdf").read_text()) == ({"newer.pdf"}, "new")
    ada.refresh_from_db()
    ada.first_name = "Ada"
    ada.save()
    worker.eventually(nothing_waits)
    assert names_in(cvs) == {"newer.pdf"}, "A save that leaves the CV alone leaves the file alone."
    ada.cv = ""
    ada.save()
    worker.eventually(lambda: len(summaries()) == 2 and nothing_waits())
    assert names_in(cvs) == set()


def test_a03_logins_logouts_and_failed_logins_are_audited(worker: Worker, pack: None) -> None:
    root = User.objects.create_superuser("root", password="right-canary")
    client = Client()
    login, out = reverse("admin:login"), reverse("admin:logout")
    assert client.post(login, {"username": "mallory", "password": "wrong-canary"}).status_code == 200
    assert client.post(login, {"username": "root", "password": "right-canary"}).status_code == 302
    assert client.post(out).status_code == 200
    assert client.post(out).status_code in (200, 302), "Nobody is signed in any more, and so nobody is audited."
    worker.eventually(lambda: AuditEntry.objects.count() == 3 and nothing_waits())
    by_operation = {entry.operation: entry for entry in AuditEntry.objects.all()}
    failed, came, left = (by_operation[name] for name in ("LOGIN FAILED", "LOGIN", "LOGOUT"))
    assert (failed.object_text, failed.actor_name, failed.request_path) == ("mallory", "", login)
    assert (came.object_text, came.actor_name, came.actor_id) == ("root", "root", str(root.pk))
    assert came.request_path == login
    assert (left.object_text, left.actor_name, left.request_path) == ("root", "root", out)
    assert all(entry.request_id for entry in by_operation.values())
    everything = [*AuditEntry.objects.values(), *Event.objects.values(), *Execution.objects.values()]
    assert "canary" not in str(everything) + worker.log


def test_a03_a_name_tried_without_end_is_audited_twenty_times(worker: Worker, pack: None) -> None:
    client = Client()
    for _ in range(25):
        client.post(reverse("admin:login"), {"username": "root", "password": "guess"})
    client.post(reverse("admin:login"), {"username": "ada", "password": "guess"})
    worker.eventually(lambda: HeldMatch.objects.exists() and nothing_waits())
    names = list(AuditEntry.objects.values_list("object_text", flat=True))
    assert (names.count("root"), names.count("ada")) == (20, 1)
    assert HeldMatch.objects.filter(state=HeldMatch.State.DROPPED).count() == 5
    HeldMatch.objects.update(decided_at=F("decided_at") - timedelta(hours=1))  # an hour goes by
    client.post(reverse("admin:login"), {"username": "root", "password": "guess"})
    worker.eventually(lambda: AuditEntry.objects.filter(object_text="root").count() == 21)
    last = AuditEntry.objects.filter(object_text="root").order_by("at").last()
    assert last is not None
    assert last.note == "5 more of the same were not written down since the last entry."
