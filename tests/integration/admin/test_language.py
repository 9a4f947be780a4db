"""The admin in German: what a browser that asks for it is shown, and that nothing is left out of the catalogues."""

from __future__ import annotations

import ast
import gettext
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.dispatch import Signal
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise, lazy
from django.utils.translation import gettext_lazy

from project.clinic.models import Doctor
from rules_engine.admin.conditions.words import sent
from rules_engine.context.signals import NamedSignal, _named, is_djangos, register_signal, registered
from rules_engine.rules import registry
from rules_engine.rules.contract import Action
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import ADD, change_url, client_of, make_user, post_data

ROOT = Path(__file__).resolve().parents[3]
APPS = ("rules_engine", "webhooks")
MARKERS = {"_", "gettext", "gettext_lazy", "ngettext"}
IN_TEMPLATES = re.compile(r'{% translate "([^"]+)"')
BLOCKS_IN_TEMPLATES = re.compile(r"{% blocktranslate\b.*?%}(.*?){% endblocktranslate %}", re.DOTALL)
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[.\d]*[sdf]")
INFORMAL = re.compile(r"\b(?:du|dir|dich|dein\w*|euch|euer\w*|[Gg]ib|[Nn]imm|[Ss]ieh|[Ll]ies)\b")
#: By an English word what it is never called in German, since it goes by another name everywhere else.
NEVER = {"pause": "angehalten|anhalten", "version": "Fassung", "site": r"\bSite\b", "slug": "Kurzname"}
LOG = ("log_message", {"message": "Hello"})
MAIL = ("send_email", {"to": ["ada@example.com"], "subject": "New", "body": "Hello", "reply_to": "bob@example.com"})
LEVEL = ("log_message", {"message": "Hello", "level": "warning"})


def page_at(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode())


@pytest.mark.django_db(transaction=True)
def test_the_list_of_rules_speaks_german(german: Client) -> None:
    create_rule(Doctor, operations=["create", "update"], changes=[{"field": "email"}], actions=[LOG])
    create_rule(signals=["user_logged_in"], actions=[LOG], enabled=False)
    page = page_at(german, reverse("admin:rules_engine_rule_changelist"))
    for words in (
        "Regel hinzufügen",
        "Zustand",
        "Zustand, letzte 24 Stunden",
        "Ausgewählte Regeln einschalten",
        "Probelauf",
    ):
        assert words in page
    assert "Wenn ein Objekt „Doctor“ angelegt oder geändert wird und sich Email ändert" in page
    assert "Wenn sich ein Benutzer anmeldet" in page
    assert "Fired" not in page


@pytest.mark.django_db(transaction=True)
def test_the_page_of_a_rule_speaks_german(german: Client) -> None:
    rule = create_rule(Doctor, ["post_save", "m2m_changed"], actions=[LOG])
    page = page_at(german, change_url(rule))
    sentence = "Wenn ein Objekt „Doctor“ angelegt oder geändert wird oder"
    for words in (sentence, "Ausführungen dieser Regel", "Bedingung", "nach dem Speichern (post_save)", "Dann"):
        assert words in page


@pytest.mark.django_db(transaction=True)
def test_what_djangos_own_signals_send_is_told_in_german(german: Client) -> None:
    page = page_at(german, change_url(create_rule(signals=["pre_migrate"], actions=[LOG])))
    for words in (
        "pre_migrate: Das allererste migrate, das die Tabellen der Regeln selbst anlegt, wird nicht gehört.",
        "Der Benutzer: username, pk, model, text. null, wenn niemand angemeldet war.",
        "Methode und Pfad der Anfrage.",
    ):
        assert words in page
    for words in ("The very first migrate", "The user: username", "The request's method", "is not heard"):
        assert words not in page
    offered = json.loads(json.dumps(sent()))
    assert offered["class_prepared"][0]["label"] == "Die Bezeichnung des Modells, etwa shop.order."


def texts_of(signal: NamedSignal) -> list[str | Promise]:
    return [text for text in (*signal.arguments.values(), signal.hearing) if text != ""]


@pytest.mark.parametrize(
    "signal", [one for one in registered().values() if is_djangos(one.name)], ids=lambda one: one.name
)
def test_every_text_about_a_signal_of_djangos_has_a_german_one(signal: NamedSignal) -> None:
    for text in texts_of(signal):
        assert isinstance(text, Promise), f"{text!r} is English in every language: use gettext_lazy."
        with translation.override(None):
            english = str(text)
        with translation.override("de"):
            assert str(text) != english


@pytest.mark.django_db(transaction=True)
def test_a_site_may_give_its_signals_lazy_texts(german: Client, settings: LazySettings) -> None:
    texts = {"label": gettext_lazy("Password"), "arguments": {"who": gettext_lazy("username"), "what": "Any text"}}
    signal = {"signal": "project.shop.signals.order_paid", **texts}
    settings.RULES_ENGINE = {**getattr(settings, "RULES_ENGINE", {}), "SIGNALS": {"shop.lazy": signal}}
    page = page_at(german, reverse(ADD))
    assert "Passwort (shop.lazy)" in page
    assert "<code>signal.who</code>: Benutzername <code>signal.what</code>: Any text" in page


def test_to_make_a_signal_known_asks_for_no_language() -> None:
    def too_early() -> str:
        raise AssertionError("Nobody may translate before the apps are ready.")

    text = lazy(too_early, str)()
    try:
        register_signal("shop.early", Signal(), label=text, arguments={"one": text}, hearing=text)
    finally:
        del _named["shop.early"]


@pytest.mark.django_db(transaction=True)
def test_the_form_of_an_action_speaks_german(german: Client) -> None:
    page = german.get(change_url(create_rule(Doctor, actions=[MAIL]))).content.decode()
    kinds = dict(re.findall(r'<option value="(\w+)"[^>]*>([^<]+)</option>', page))
    assert kinds["send_email"] == "Eine E-Mail senden"
    assert kinds["webhook"] == "Einen Webhook aufrufen"
    drawn = json.loads(unescape(re.findall(r'data-rules-kinds="([^"]*)"', page)[0]))
    mail = drawn["send_email"]["schema"]["keys"]
    assert mail["to"]["title"].startswith("An (Adressen, {{ instance.email }}, admins oder managers;")
    assert (mail["html"]["title"], mail["html"]["helpText"]) == ("HTML", "Kann leer bleiben.")
    hows = drawn["update_objects"]["schema"]["keys"]["values"]["items"]["keys"]["how"]
    assert hows["title"] == "Wie"
    assert {one["value"]: one["title"] for one in hows["choices"]}["increment"] == "erhöhen um"


@pytest.mark.django_db(transaction=True)
def test_the_settings_that_a_reader_sees_speak_german(german: Client) -> None:
    reader = client_of(make_user("rules_engine.view_rule", "clinic.view_doctor"))
    reader.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    page = page_at(reader, change_url(create_rule(Doctor, actions=[MAIL, LEVEL])))
    for part in ("Eine E-Mail senden", "<dt>Antwort an</dt>", "<dt>Stufe</dt>", "Warnung"):
        assert part in page


@pytest.mark.django_db(transaction=True)
def test_what_a_rule_would_do_is_told_in_german(german: Client) -> None:
    doctor = Doctor.objects.create(first_name="Ada", last_name="Lovelace", email="ada@example.com")
    rule = create_rule(Doctor, actions=[MAIL, LEVEL])
    rows = {"changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0"}
    data = {"pk": doctor.pk, "signal": "post_save", "operation": "create", **rows}
    response = german.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), data)
    page = unescape(response.content.decode())
    for part in ("<strong>Eine E-Mail senden</strong>", "<dt>Betreff</dt>", "<dt>An</dt>", "<dt>Stufe</dt>", "Warnung"):
        assert part in page


@pytest.mark.django_db(transaction=True)
def test_a_rule_is_saved_from_a_german_page(german: Client) -> None:
    response = german.post(reverse(ADD), post_data([{"kind": "log_message", "config": '{"message": "Hello"}'}]))
    assert response.status_code == 302
    page = page_at(german, reverse("admin:rules_engine_rule_changelist"))
    assert "erfolgreich hinzugefügt" in page


@pytest.mark.django_db(transaction=True)
def test_what_is_wrong_with_a_rule_is_said_in_german(german: Client) -> None:
    wrong = {
        "condition": '{"==": [{"var": "instance.stauts"}, 1]}',
        "changes": '[{"feld": "status", "field": "status"}]',
        "operations": ["delete"],
    }
    actions = [
        {"kind": "log_message", "config": '{"message": "{% iff x %}"}'},
        {"kind": "log_message", "config": '{"message": "Hello", "levle": "info"}'},
    ]
    response = german.post(reverse(ADD), post_data(actions, **wrong))
    assert response.status_code == 200
    page = unescape(response.content.decode())
    for words in (
        "hat kein Feld „stauts“. Meinten Sie „status“?",
        'Eine Änderungsbedingung hat "field", "from" und "to", nicht „feld“. Meinten Sie „field“?',
        "„delete“ kommt bei diesen Signalen nicht vor.",
        "Zeile 1: das Tag „iff“ gibt es nicht. Meinten Sie „if“?",
        "Diese Aktion hat kein „levle“. Meinten Sie „level“?",
    ):
        assert words in page
    for words in ("Did you mean", "has no field", "A change condition has", "does not happen", "there is no tag"):
        assert words not in page
    data = {**post_data(), "condition": '{"==": [{"var": "instance.total"}, 1}'}
    page = unescape(german.post(reverse(ADD), data).content.decode())
    assert "Das ist kein JSON (Zeile 1, Spalte 37): hier wird ein Komma oder eine schließende Klammer erwartet." in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rules_engine_execution", "Ausführung"),
        ("rules_engine_event", "Ereignis"),
        ("rules_engine_auditentry", "Audit-Eintr"),
        ("rules_engine_ruleversion", "Regelversion"),
        ("webhooks_endpoint", "Endpunkt"),
    ],
)
def test_the_other_lists_speak_german(german: Client, name: str, words: str) -> None:
    assert words in page_at(german, reverse(f"admin:{name}_changelist"))


def folder_of(app: str) -> Path:
    return ROOT / app / "locale" / "de" / "LC_MESSAGES"


def written(app: str) -> dict[Any, str]:
    """What the ``.po`` says, keyed as ``compiled`` is."""
    found: dict[Any, str] = {}
    for entry in (folder_of(app) / "django.po").read_text(encoding="utf-8").split("\n\n"):
        parts: dict[str, str] = {}
        name = ""
        for line in entry.splitlines():
            if line.startswith("#"):
                continue
            keyword, _space, text = ("", "", line) if line.startswith('"') else line.partition(" ")
            name = keyword or name
            parts[name] = parts.get(name, "") + ast.literal_eval(text)
        plurals = {name: text for name, text in parts.items() if name.startswith("msgstr[")}
        if "msgstr" in parts:
            found[parts["msgid"]] = parts["msgstr"]
        found |= {(parts["msgid"], int(name[7:-1])): text for name, text in plurals.items()}
    return found


def compiled(app: str) -> dict[Any, str]:
    """What the ``.mo`` says: German by English, or by English and the number of its plural form."""
    with (folder_of(app) / "django.mo").open("rb") as file:
        catalogue: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return catalogue


def marked(app: str) -> set[str]:
    """The English texts that the app asks to have translated."""
    found: set[str] = set()
    for file in (ROOT / app).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKERS:
                text = node.args[0]
                assert isinstance(text, ast.Constant), f"{file.name}:{node.lineno} asks to translate what is no text."
                found.add(str(text.value))
    for file in (ROOT / app).rglob("*.html"):
        template = file.read_text(encoding="utf-8")
        found |= set(IN_TEMPLATES.findall(template))
        blocks = [block.partition("{% plural %}")[0] for block in BLOCKS_IN_TEMPLATES.findall(template)]
        found |= {re.sub(r"{{ (\w+) }}", r"%(\1)s", block) for block in blocks}
    return found


@pytest.mark.parametrize("app", APPS)
def test_every_marked_text_has_a_german_one(app: str) -> None:
    said = {key if isinstance(key, str) else key[0] for key, text in written(app).items() if text}
    assert marked(app) - said == set(), "Run makemessages -l de in the app's folder, translate, run compilemessages."


def words_of(schema: Mapping[str, Any]) -> Iterator[Any]:
    """What a form shows of a schema, below its lists and objects, too."""
    yield from (schema[name] for name in ("title", "helpText", "help_text", "placeholder") if name in schema)
    # A choice that is no more than its value is shown as that, in whatever language.
    yield from (one["title"] if isinstance(one, Mapping) else one for one in schema.get("choices", ()))
    for part in schema.get("keys", schema.get("properties", {})).values():
        yield from words_of(part)
    if "items" in schema:
        yield from words_of(schema["items"])


def built_in() -> list[Action]:
    """The kinds of action that we bring, not those of the demo or of tests."""
    return [one for one in registry.kinds(also_ordered=True).values() if type(one).__module__.split(".")[0] in APPS]


@pytest.mark.parametrize("action", built_in(), ids=lambda action: str(action.kind))
def test_every_built_in_action_and_its_settings_have_german_names(action: Action) -> None:
    app = type(action).__module__.split(".")[0]
    said = written(app)
    for text in (action.label, *words_of(action.schema)):
        assert isinstance(text, Promise), f"{text!r} of {action.kind} is English in every language: use gettext_lazy."
        with translation.override(None):
            assert said.get(str(text)), f"{text!r} of {action.kind} has no German in {app}."


def test_every_setting_of_a_built_in_action_has_a_title() -> None:
    untitled = [
        f"{action.kind}.{name}"
        for action in built_in()
        for name, part in action.schema.get("keys", {}).items()
        if not part.get("title")
    ]
    assert untitled == []
    assert {"send_email", "webhook", "replay_executions"} <= {action.kind for action in built_in()}


@pytest.mark.parametrize("app", APPS)
def test_placeholders_are_the_same_in_german(app: str) -> None:
    for key, text in written(app).items():
        english = key if isinstance(key, str) else key[0]
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(english)), english


@pytest.mark.parametrize("app", APPS)
def test_administrators_are_addressed_formally(app: str) -> None:
    assert [text for text in written(app).values() if INFORMAL.search(text)] == []


@pytest.mark.parametrize("app", APPS)
def test_one_thing_goes_by_one_name(app: str) -> None:
    for key, text in written(app).items():
        english = key if isinstance(key, str) else key[0]
        for word, other in NEVER.items():
            assert not (word in english.lower() and re.search(other, text)), f"{text!r} is called otherwise elsewhere."


@pytest.mark.parametrize("app", APPS)
def test_the_compiled_catalogue_is_up_to_date(app: str) -> None:
    assert compiled(app) == written(app)


@pytest.mark.parametrize("app", APPS)
def test_gettext_finds_nothing_wrong(app: str) -> None:
    if (msgfmt := shutil.which("msgfmt")) is None:
        pytest.skip("gettext is not installed")
    source = str(folder_of(app) / "django.po")
    done = subprocess.run([msgfmt, "--check-format", "-o", "-", source], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("app", APPS)
def test_the_catalogue_names_no_place_on_a_machine(app: str) -> None:
    assert "\n#:" not in (folder_of(app) / "django.po").read_text(encoding="utf-8")


@pytest.mark.django_db(transaction=True)
def test_what_is_wrong_with_a_form_is_told_in_german(german: Client) -> None:
    config = {"to": ["ada"], "subject": "New", "body": "", "attachments": "instance.image"}
    actions = [{"kind": "send_email", "config": json.dumps(config)}, {"kind": "webhook", "config": "{}"}]
    page = unescape(german.post(reverse(ADD), post_data(actions)).content.decode())
    for part in ("„ada“ ist keine Adresse.", "den Text der Nachricht", "eine Liste von Dateifeldern", "das Kürzel"):
        assert part in page
    endpoint = {"slug": "shop", "name": "Shop", "url": "https://169.254.1.1/", "headers": '{"Host": "x"}'}
    page = unescape(german.post(reverse("admin:webhooks_endpoint_add"), endpoint).content.decode())
    assert "Webhooks dürfen nicht an 169.254.1.1 gehen (das lokale Netzsegment," in page
    assert "Der Header 'Host' ist reserviert" in page
