"""Mail to many, one message each, with files, by a mail server that misbehaves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.files.base import ContentFile
from django.core.mail.backends.locmem import EmailBackend as LocmemBackend
from django.test.utils import CaptureQueriesContext

from project.accounts.models import User
from project.clinic.models import Appointment, Doctor, Patient
from project.shop.models import Product, ProductImage
from rules_engine.errors import InvalidRule
from rules_engine.models import Attempt, Execution, Rule
from rules_engine.testing import ActionContractTests, create_rule, run_due
from rules_engine.testing.faults.servers import closed_port
from rules_engine.types import RuleSpec
from tests.mail_server import MailServer, dripping, mail_goes_to, sleeping

pytestmark = pytest.mark.django_db(transaction=True)

FIVE = [f"{name}@x.example" for name in ("ada", "bob", "cleo", "dan", "eve")]
PATIENTS = {"map": [{"var": "instance.appointments"}, {"var": "patient.email"}]}


class TestSendEmailContract(ActionContractTests):
    kind = "send_email"
    config = {"to": ["{{ instance.email }}"], "subject": "s", "body": "b"}
    context = {"instance": {"email": "ada@x.example"}}
    rule = RuleSpec(slug="r", model="clinic.doctor", signals=("post_save",))


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    """The site's mail server."""
    with MailServer() as running:
        mail_goes_to(settings, running.port)
        yield running


def config(**changed: Any) -> dict[str, Any]:
    return {"to": list(FIVE), "subject": "Hello", "body": "Text", **changed}


def mail_rule(model: Any = Patient, **changed: Any) -> Rule:
    return create_rule(model=model, actions=[("send_email", config(**changed))])


def mailed(**changed: Any) -> Execution:
    """What came of the mail of a new patient."""
    mail_rule(**changed)
    Patient.objects.create(name="Tom", email="tom@x.example")
    run_due()
    return Execution.objects.get()


def again(execution: Execution) -> Execution:
    """The next attempt is made."""
    Execution.objects.live().update(next_attempt_at=execution.created_at)
    run_due()
    execution.refresh_from_db()
    return execution


def problems(model: Any = Patient, **changed: Any) -> dict[str, str]:
    with pytest.raises(InvalidRule) as caught:
        mail_rule(model, **changed)
    return {problem.pointer.removeprefix("/actions/0/config"): problem.message for problem in caught.value.problems}


# Whom


def test_each_patient_is_mailed_once_and_none_without_an_address() -> None:
    doctor = Doctor.objects.create(first_name="Ada", last_name="Byron", email="ada@x.example", slug="ada")
    people = [("Tom", "tom@x.example"), ("Tim", "TOM@X.example"), ("Nil", ""), ("Zoe", "zoe@x.example")]
    for hour, (name, address) in enumerate(people):
        patient = Patient.objects.create(name=name, email=address)
        Appointment.objects.create(doctor=doctor, patient=patient, date=dt.date(2031, 1, 1), time=dt.time(hour))
    mail_rule(Doctor, to=[PATIENTS, "{{ instance.email }}", "ada@x.example"])
    doctor.save()
    run_due()
    assert [message.to for message in mail.outbox] == [["tom@x.example"], ["zoe@x.example"], ["ada@x.example"]]
    assert Execution.objects.get().state == "succeeded"


def test_the_rows_that_other_readers_of_the_rule_want_are_still_whole() -> None:
    doctor = Doctor.objects.create(first_name="Ada", last_name="Byron", slug="ada")
    patient = Patient.objects.create(name="Tom", email="tom@x.example")
    Appointment.objects.create(doctor=doctor, patient=patient, date=dt.date(2031, 1, 1), time=dt.time(9), notes="flu")
    mail_rule(Doctor, to=[PATIENTS], body="{% for one in instance.appointments %}{{ one.notes }}{% endfor %}")
    doctor.save()
    run_due()
    assert [message.body for message in mail.outbox] == ["flu"]


def test_the_addresses_of_many_rows_take_one_query(django_assert_max_num_queries: Any) -> None:
    doctor = Doctor.objects.create(first_name="Ada", last_name="Byron", slug="ada")

    def add(count: int) -> None:
        for hour in range(count):
            patient = Patient.objects.create(name="Tom", email="tom@x.example")
            Appointment.objects.create(doctor=doctor, patient=patient, date=dt.date(2031, 1, 1), time=dt.time(hour))

    add(1)
    mail_rule(Doctor, to=[PATIENTS])
    with CaptureQueriesContext(django.db.connection) as for_one:
        doctor.save()
    add(9)
    with django_assert_max_num_queries(len(for_one)):
        doctor.save()


def test_an_author_who_may_not_see_patients_does_not_mail_them() -> None:
    author = User.objects.create_user("writer", is_staff=True)
    author.user_permissions.set(Permission.objects.filter(codename__in=["view_doctor", "view_appointment"]))
    create_rule(model=Doctor, actions=[("send_email", config(to=[PATIENTS]))], author=author)
    Doctor.objects.create(first_name="Ada", last_name="Byron", slug="ada")
    run_due()
    execution = Execution.objects.get()
    assert execution.state == "refused"
    assert "clinic.view_patient" in execution.error
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("admins", "managers"),
    [
        ([("Ada", "ada@site.example")], [("Bob", "bob@site.example"), ("Ada", "ada@site.example")]),
        (['"Byron, Ada" <ada@site.example>'], ["bob@site.example"]),
    ],
)
def test_admins_and_managers_are_those_of_the_settings(settings: Any, admins: list[Any], managers: list[Any]) -> None:
    settings.ADMINS, settings.MANAGERS = admins, managers
    settings.RULES_ENGINE = {"EMAIL_DOMAINS": ["x.example"]}
    assert mailed(to=["admins", "managers"]).state == "succeeded"
    assert [message.to for message in mail.outbox] == [["ada@site.example"], ["bob@site.example"]]


def test_the_words_mean_people_only_where_the_rule_says_them(settings: Any) -> None:
    settings.ADMINS = [("Ada", "ada@site.example")]
    mail_rule(to=["{{ instance.name }}"])
    Patient.objects.create(name="admins")
    run_due()
    assert Execution.objects.get().state == "discarded"
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("recipient", "said"),
    [
        ("a@x.example, b@x.example", "each as an item of its own"),
        ("a@x.example;b@x.example", "each as an item of its own"),
        ("Ada <ada@x.example>", 'the address alone, without a name and brackets: "ada@x.example"'),
        ("admin", 'Did you mean "admins"?'),
        ("ada@x.example\nBcc: all@x.example", "no address"),
        ("ada", "no address"),
        ({"map": [{"var": "instance.appointments"}, {"var": "patient.mail"}]}, 'no field "mail"'),
        ({"map": [{"var": "instance.appointments"}, {"var": "doctor.departments"}]}, "name the field"),
        (["ada@x.example"], "Expected"),
        (7, "Expected"),
    ],
)
def test_a_recipient_that_is_no_address_is_said_when_the_rule_is_saved(recipient: Any, said: str) -> None:
    [(place, message)] = problems(Doctor, to=["tom@x.example", recipient]).items()
    assert place.startswith("/to/1")
    assert said in message


@pytest.mark.parametrize(
    "hostile",
    [
        "a@x.example, b@x.example",
        "a@x.example\r\nBcc: b@x.example",
        "a@x.example\nx.example",
        "Ada <a@x.example>",
        '"a@x.example, b"@x.example',
        "ä@x.example",
        "a@" + "b" * 150 + ".example",
        "@",
    ],
)
def test_a_value_that_is_not_one_plain_address_mails_nobody_else(hostile: str) -> None:
    mail_rule(to=["{{ instance.name }}"])
    Patient.objects.create(name=hostile)
    run_due()
    execution = Execution.objects.get()
    assert (execution.state, mail.outbox) == ("discarded", [])
    assert "not one plain address" in execution.error


def test_one_bad_address_of_many_keeps_no_letter_from_the_others() -> None:
    mail_rule(to=["{{ instance.name }}", "ada@x.example"])
    Patient.objects.create(name="nonsense")
    run_due()
    execution = Execution.objects.get()
    assert [message.to for message in mail.outbox] == [["ada@x.example"]]
    assert execution.state == "discarded"
    assert execution.error.startswith("Mailed ada@x.example. Not mailed: A recipient is not one plain address")


def test_a_domain_in_another_script_is_mailed_as_the_net_has_it(settings: Any, server: MailServer) -> None:
    settings.RULES_ENGINE = {"EMAIL_DOMAINS": ["bücher.example"]}
    execution = mailed(to=["ada@BÜCHER.example", "ada@xn--bcher-kva.example"])
    assert execution.state == "succeeded", execution.error
    assert server.to == ["ada@xn--bcher-kva.example"]


@pytest.mark.parametrize("address", ["eve@evil.example", "eve@x.example.evil.example", "eve@evil。example"])
def test_another_domain_than_those_of_the_settings_is_refused(settings: Any, address: str) -> None:
    settings.RULES_ENGINE = {"EMAIL_DOMAINS": ["x.example"]}
    execution = mailed(to=[address])
    assert (execution.state, mail.outbox) == ("refused", [])
    assert "EMAIL_DOMAINS" in execution.error


@pytest.mark.parametrize("setting", ["EMAIL_RECIPIENTS", "ROWS_LIMIT"])
def test_too_many_recipients_are_refused(settings: Any, setting: str) -> None:
    settings.RULES_ENGINE = {setting: 4}
    execution = mailed()
    assert (execution.state, mail.outbox) == ("refused", [])
    assert setting in execution.error


# What


def test_nothing_that_a_value_holds_becomes_a_header_or_markup(server: MailServer) -> None:
    hostile = "Tom\r\nBcc: eve@x.example\r\n\r\n<script>alert(1)</script>"
    mail_rule(to=["tom@x.example"], subject="{{ instance.name }}", html="<p>{{ instance.name }}</p>")
    Patient.objects.create(name=hostile)
    run_due()
    [message] = server.messages
    assert server.to == ["tom@x.example"]
    assert "Bcc" not in message
    assert message["Subject"] == "Tom Bcc: eve@x.example <script>alert(1)</script>"
    assert message["Auto-Submitted"] == "auto-generated"
    page = message.get_body(("html",))
    assert page is not None
    assert "&lt;script&gt;" in page.get_content()
    assert "<script>" not in page.get_content()


@pytest.mark.parametrize("hostile", ["a@x.example\r\nBcc: b@x.example", "a@x.example, b@x.example", "Ada"])
def test_a_reply_to_is_one_plain_address(hostile: str) -> None:
    mail_rule(to=["tom@x.example"], reply_to="{{ instance.name }}")
    Patient.objects.create(name=hostile)
    run_due()
    execution = Execution.objects.get()
    assert (execution.state, mail.outbox) == ("discarded", [])
    assert execution.error.startswith("Reply to:")
    assert "/reply_to" in problems(reply_to="a@x.example, b@x.example")


def test_a_reply_goes_where_the_rule_says() -> None:
    assert mailed(to=["tom@x.example"], reply_to="desk@x.example").state == "succeeded"
    assert mail.outbox[0].reply_to == ["desk@x.example"]


def test_html_is_written_as_text_as_an_expression_is_not_made_safe() -> None:
    assert "safe for HTML" in problems(html={"var": "instance.name"})["/html"]


def test_a_text_that_is_too_long_is_an_error(settings: Any) -> None:
    settings.RULES_ENGINE = {"TEXT_LIMIT": 300_000}
    mail_rule(Doctor, to=["tom@x.example"], body={"var": "instance.biography"})
    Doctor.objects.create(first_name="Ada", last_name="Byron", slug="ada", biography="x" * 200_001)
    run_due()
    assert "200,000 characters" in Execution.objects.get().error


def test_an_expression_that_fails_ends_the_execution_in_words() -> None:
    execution = mailed(to=[{"+": [{"var": "instance.name"}, 1]}])
    assert execution.state == "discarded"
    assert 'The operator "+"' in execution.error


# Files


def product(name: str = "invoice.pdf", content: bytes = b"%PDF-1") -> Product:
    made = Product(name="Lamp", price=1)
    made.image.save(name, ContentFile(content), save=False)
    return made


def attached(message: EmailMessage) -> list[tuple[str | None, str, bytes]]:
    return [(p.get_filename(), p.get_content_type(), p.get_payload(decode=True)) for p in message.iter_attachments()]


def test_the_files_of_an_object_and_of_its_rows_are_attached(server: MailServer) -> None:
    lamp = product()
    lamp.save()
    for name, content in (("side.png", b"\x89PNG"), ("list.csv", "ä;b".encode()), ("mail.eml", b"Bcc: eve@x.example")):
        row = ProductImage(product=lamp)
        row.image.save(name, ContentFile(content))
    mail_rule(Product, to=FIVE[:2], attachments=["instance.image", "instance.images.image"])
    lamp.save()
    run_due()
    assert Execution.objects.get().state == "succeeded", Execution.objects.get().error
    assert len(server.messages) == 2
    for message in server.messages:
        kinds = [kind for _, kind, _ in attached(message)]
        assert kinds == ["application/pdf", "image/png", "text/csv", "application/octet-stream"]
        assert [content.strip() for *_, content in attached(message)] == [
            b"%PDF-1", b"\x89PNG", "ä;b".encode(), b"Bcc: eve@x.example"
        ]  # fmt: skip


def test_an_empty_file_field_attaches_nothing() -> None:
    mail_rule(Product, to=FIVE[:1], attachments=["instance.image"])
    Product.objects.create(name="Lamp", price=1)
    run_due()
    assert mail.outbox[0].attachments == []


def test_without_its_file_nobody_is_mailed() -> None:
    mail_rule(Product, to=FIVE[:1], attachments=["instance.image"])
    lamp = product()
    lamp.save()
    Path(lamp.image.path).unlink()
    run_due()
    execution = Execution.objects.get()
    assert (execution.state, mail.outbox) == ("discarded", [])
    assert "not in its storage any more" in execution.error


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/passwd", "products/../../outside.txt", "products\\x"])
def test_a_name_that_leads_out_of_the_storage_is_refused(settings: Any, name: str) -> None:
    outside = Path(settings.MEDIA_ROOT).parent / "outside.txt"
    outside.parent.mkdir(parents=True, exist_ok=True)
    outside.write_text("secret", encoding="utf-8")
    mail_rule(Product, to=FIVE[:1], attachments=["instance.image"])
    Product.objects.create(name="Lamp", price=1, image=name)
    run_due()
    assert (Execution.objects.get().state, mail.outbox) == ("refused", [])


def test_files_that_are_too_large_together_are_an_error(settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAIL_ATTACHMENT_BYTES": 10}
    mail_rule(Product, to=FIVE[:1], attachments=["instance.image"])
    product(content=b"x" * 10).save()
    run_due()
    assert Execution.objects.get().state == "succeeded"
    product(content=b"x" * 11).save()
    run_due()
    failed = Execution.objects.exclude(state="succeeded").get()
    assert failed.state == "discarded"
    assert "EMAIL_ATTACHMENT_BYTES" in failed.error


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("products/a\u202egpj.exe", "agpj.exe"),
        ("products/a\"b'c;.pdf", "abc.pdf"),
        ("products/a\r\nX-Evil: 1.pdf", "aX-Evil 1.pdf"),
        ("products/rechnung-ä.pdf", "rechnung-ä.pdf"),
        ("products/" + "x" * 300 + ".pdf", "x" * 116 + ".pdf"),
        ("products/\u200b.", "attachment"),
    ],
)
def test_the_name_of_a_file_is_harmless(stored: str, shown: str) -> None:
    from rules_engine.actions.mail.attachments import clean_name

    assert clean_name(stored) == shown


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("instance.imag", 'Did you mean "image"?'),
        ("image", 'Did you mean "instance.image"?'),
        ("instance.name", "instance.image, "),
        ("instance.images", "instance.images.image"),
        ("old.image", "begins with"),
        ("", "Expected the path"),
        (7, "Expected the path"),
    ],
)
def test_what_is_no_file_field_is_said_when_the_rule_is_saved(path: Any, said: str) -> None:
    assert said in problems(Product, attachments=[path])["/attachments/0"]
    assert "a list" in problems(Product, attachments="instance.image")["/attachments"]


def test_an_author_who_may_not_see_the_rows_does_not_mail_their_files() -> None:
    author = User.objects.create_user("writer", is_staff=True)
    author.user_permissions.set(Permission.objects.filter(codename="view_product"))
    to = {"to": FIVE[:1], "attachments": ["instance.images.image"]}
    create_rule(model=Product, actions=[("send_email", config(**to))], author=author)
    product().save()
    run_due()
    assert (Execution.objects.get().state, mail.outbox) == ("refused", [])


# A server that fails


def test_who_is_refused_for_good_keeps_no_letter_from_the_others(server: MailServer) -> None:
    server.recipients["cleo@x.example"] = "550 No such user"
    execution = mailed()
    assert server.to == [one for one in FIVE if "cleo" not in one]
    assert execution.state == "discarded"
    assert "Not mailed: cleo@x.example: The mail server answered: 550 No such user" in execution.error
    server.recipients.clear()
    Execution.objects.all().retry()
    assert again(execution).state == "succeeded", execution.error
    assert server.to[4:] == ["cleo@x.example"], "A retry by hand mails only the one."
    assert execution.summary == "Mailed cleo@x.example; 4 had theirs from an earlier attempt"


def test_a_server_that_goes_away_gets_only_the_rest_the_next_time(server: MailServer) -> None:
    server.hang_up_after = 2
    execution = mailed()
    assert execution.state == "retryable"
    assert "Left: cleo@x.example, dan@x.example, eve@x.example." in execution.error
    assert Attempt.objects.get().detail["to"] == FIVE[:2]
    server.hang_up_after = None
    assert again(execution).state == "succeeded", execution.error
    assert server.to == FIVE
    assert len({message["Message-ID"] for message in server.messages}) == 5


def test_a_message_taken_before_a_drop_comes_twice_under_one_id(server: MailServer) -> None:
    server.hang_up_after, server.hang_ups, server.keeps_then = 1, 1, True
    execution = mailed()
    assert execution.state == "retryable"
    assert again(execution).state == "succeeded", execution.error
    assert server.to == [FIVE[0], FIVE[1], *FIVE[1:]]
    assert len({message["Message-ID"] for message in server.messages}) == 5, "A mailbox can tell a repetition by it."
    assert all(message["Message-ID"].startswith(f"<{execution.pk}.") for message in server.messages)


def test_who_was_refused_for_good_is_not_asked_again(server: MailServer) -> None:
    server.recipients.update({"bob@x.example": "550 No such user", "dan@x.example": "451 Greylisted"})
    execution = mailed()
    assert execution.state == "retryable"
    again(execution)
    del server.recipients["dan@x.example"]
    assert again(execution).state == "discarded"
    assert "bob@x.example: The mail server answered: 550" in execution.error
    assert sorted(server.to) == sorted(one for one in FIVE if "bob" not in one)
    assert server.asked.count("bob@x.example") == 1
    assert server.asked.count("dan@x.example") == 3


@pytest.mark.parametrize(("answer", "state"), [("451 Later", "retryable"), ("554 Spam", "discarded")])
def test_what_is_said_of_a_message_decides_whether_it_is_tried_again(
    server: MailServer, answer: str, state: str
) -> None:
    server.answers = [answer]
    execution = mailed(to=FIVE[:1])
    assert execution.state == state
    assert f"The mail server answered: {answer}" in execution.error
    assert server.to == []


@pytest.mark.parametrize(
    ("answer", "state"), [("451 Later", "retryable"), ("530 Log in first", "retryable"), ("552 Too big", "discarded")]
)
def test_what_is_said_of_the_sender_goes_for_all(server: MailServer, answer: str, state: str) -> None:
    server.sender_answer = answer
    execution = mailed()
    assert execution.state == state
    assert answer in execution.error
    assert server.asked == []


def test_a_password_that_the_server_does_not_take_is_tried_again(server: MailServer, settings: Any) -> None:
    if django.VERSION >= (6, 1):
        settings.MAILERS["default"]["OPTIONS"].update(username="site", password="wrong")
    else:
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "site", "wrong"
    execution = mailed()
    assert execution.state == "retryable"
    assert "The mail server could not be used" in execution.error
    assert Attempt.objects.get().detail["left"] == FIVE


@pytest.mark.parametrize("greeting", [b"", b"220 hello\r\n"])
def test_a_server_that_drips_is_given_up_in_time(settings: Any, greeting: bytes) -> None:
    settings.RULES_ENGINE = {"EMAIL_SECONDS": 0.5}
    with dripping(greeting) as port:
        mail_goes_to(settings, port)
        execution = mailed()
    assert execution.state == "retryable"
    assert "EMAIL_SECONDS" in execution.error


def test_a_server_that_says_nothing_is_given_up_in_time(settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAIL_SECONDS": 0.5}
    with sleeping() as port:
        mail_goes_to(settings, port)
        assert mailed().state == "retryable"


def test_without_a_server_all_are_left(settings: Any) -> None:
    mail_goes_to(settings, closed_port())
    execution = mailed()
    assert execution.state == "retryable"
    assert Attempt.objects.get().detail["left"] == FIVE


class FickleBackend(LocmemBackend):
    """A site's own backend, which raises what it likes at the second message, once."""

    tripped = False

    def send_messages(self, messages: Any) -> int:
        if mail.outbox and not FickleBackend.tripped:
            FickleBackend.tripped = True
            raise KeyError("quota")
        return int(super().send_messages(messages))


def test_a_sites_own_backend_that_raises_anything_mails_nobody_twice(settings: Any) -> None:
    backend = f"{__name__}.FickleBackend"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend
    execution = mailed()
    assert execution.state == "retryable"
    assert Attempt.objects.get().detail["left"] == FIVE[1:2], "What a backend raises is that letter's alone."
    assert "The mail backend did not take it: 'quota'" in execution.error
    assert again(execution).state == "succeeded", execution.error
    assert sorted(message.to[0] for message in mail.outbox) == FIVE


class Answer(Exception):
    """What a service answered by HTTP, as the errors of its clients carry it."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class JudgingBackend(LocmemBackend):
    """Raises for an address what ``raises`` holds for it."""

    raises: dict[str, Exception] = {}
    tried: list[str] = []

    def send_messages(self, messages: Any) -> int:
        [address] = messages[0].to
        self.tried.append(address)
        if error := self.raises.get(address.partition("@")[0]):
            raise error
        return int(super().send_messages(messages))


@pytest.fixture
def judging(settings: Any, monkeypatch: pytest.MonkeyPatch) -> type[JudgingBackend]:
    """The site's mail goes to that backend."""
    backend = f"{__name__}.JudgingBackend"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend
    monkeypatch.setattr(JudgingBackend, "raises", {})
    monkeypatch.setattr(JudgingBackend, "tried", [])
    return JudgingBackend


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (Answer(422), "discarded", "bob@x.example: The mail backend refused it: status 422"),
        (Answer(400), "discarded", "bob@x.example: The mail backend refused it: status 400"),
        (Answer(429), "retryable", "The mail backend did not take it: status 429"),
        (Answer(503), "retryable", "The mail backend did not take it: status 503"),
        (Answer(401), "retryable", "The mail backend did not take it: status 401"),
        (LookupError("no template"), "retryable", "The mail backend did not take it: no template"),
        (Unprintable(), "retryable", "The mail backend did not take it: Unprintable"),
        (ValueError("a line end"), "discarded", "bob@x.example: The message could not be built: a line end"),
    ],
)
def test_what_a_backend_raises_is_judged_for_that_letter_alone(
    judging: type[JudgingBackend], error: Exception, state: str, said: str
) -> None:
    judging.raises["bob"] = error
    execution = mailed()
    assert [message.to[0] for message in mail.outbox] == [one for one in FIVE if "bob" not in one]
    assert execution.state == state
    assert said in execution.error
    judging.raises.clear()
    if state == "discarded":
        Execution.objects.all().retry()
    assert again(execution).state == "succeeded", execution.error
    assert [message.to[0] for message in mail.outbox][4:] == ["bob@x.example"]


def test_a_service_that_cannot_be_reached_is_asked_once_an_attempt(judging: type[JudgingBackend]) -> None:
    judging.raises["ada"] = ConnectionError("refused")
    execution = mailed()
    assert execution.state == "retryable"
    assert judging.tried == FIVE[:1]
    assert Attempt.objects.get().detail["left"] == FIVE


def test_a_letter_that_ends_the_connection_keeps_no_later_one_for_ever(judging: type[JudgingBackend]) -> None:
    judging.raises["ada"] = ConnectionError("closed")
    execution = again(mailed())
    assert judging.tried == [FIVE[0]] * 2
    assert again(execution).state == "retryable"
    assert [message.to[0] for message in mail.outbox] == FIVE[1:]


def test_a_backend_that_takes_nothing_is_not_asked_for_hundreds(judging: type[JudgingBackend]) -> None:
    many = [f"n{number}@x.example" for number in range(40)]
    judging.raises.update({address.partition("@")[0]: Answer(503) for address in many})
    execution = mailed(to=many)
    assert judging.tried == many[:20]
    assert Attempt.objects.get().detail["left"] == many
    again(again(execution))
    assert judging.tried == many[:20] * 2 + many[20:], "The others have their turn."


class QueueingBackend(LocmemBackend):
    """Counts as django-post-office does: what is in its queue is not sent."""

    def send_messages(self, messages: Any) -> int:
        super().send_messages(messages)
        return 0


def test_a_backend_that_queues_and_counts_nothing_mails_each_once(settings: Any) -> None:
    backend = f"{__name__}.QueueingBackend"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend
    execution = mailed()
    assert execution.state == "succeeded", execution.error
    assert [message.to[0] for message in mail.outbox] == FIVE
