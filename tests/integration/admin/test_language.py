"""The admin in German: what a browser that asks for it is shown, and that nothing is left out of the catalogues."""

from __future__ import annotations

import ast
import gettext
import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils import translation

from project.clinic.models import Doctor
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import ADD, change_url, client_of, post_data

ROOT = Path(__file__).resolve().parents[3]
APPS = ("rules_engine", "webhooks")
MARKERS = {"_", "gettext", "gettext_lazy", "ngettext"}
IN_TEMPLATES = re.compile(r'{% translate "([^"]+)"')
BLOCKS_IN_TEMPLATES = re.compile(r"{% blocktranslate\b.*?%}(.*?){% endblocktranslate %}", re.DOTALL)
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[.\d]*[sdf]")
LOG = ("log_message", {"message": "Hello"})


@pytest.fixture
def german(root: Any, settings: LazySettings) -> Iterator[Client]:
    """A superuser whose browser asks for German, on a site that listens to that."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    client = client_of(root)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    # The middleware leaves its language to the thread; this gives back the one from before.
    with translation.override("en"):
        yield client


def page_at(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode())


@pytest.mark.django_db(transaction=True)
def test_the_list_of_rules_speaks_german(german: Client) -> None:
    create_rule(Doctor, operations=["create", "update"], changes=[{"field": "email"}], actions=[LOG])
    create_rule(signals=["user_logged_in"], actions=[LOG], enabled=False)
    page = page_at(german, reverse("admin:rules_engine_rule_changelist"))
    for words in ("Regel hinzufügen", "Zustand", "Ausgelöst, 24 h", "Ausgewählte Regeln einschalten", "Probelauf"):
        assert words in page
    assert "bei „doctor“ wird ein Objekt angelegt oder geändert, mit Änderung an email" in page
    assert "nach der Anmeldung eines Benutzers" in page
    assert "Fired" not in page


@pytest.mark.django_db(transaction=True)
def test_the_page_of_a_rule_speaks_german(german: Client) -> None:
    rule = create_rule(Doctor, ["post_save", "m2m_changed"], actions=[LOG])
    page = page_at(german, change_url(rule))
    sentence = "Auslöser dieser Regel: bei „doctor“ wird ein Objekt angelegt oder geändert"
    for words in (sentence, "Ausführungen dieser Regel", "Bedingung", "nach dem Speichern (post_save)", "Dann diese"):
        assert words in page


@pytest.mark.django_db(transaction=True)
def test_a_rule_is_saved_from_a_german_page(german: Client) -> None:
    response = german.post(reverse(ADD), post_data([{"kind": "log_message", "config": '{"message": "Hello"}'}]))
    assert response.status_code == 302
    page = page_at(german, reverse("admin:rules_engine_rule_changelist"))
    assert "erfolgreich hinzugefügt" in page


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
        found |= {re.sub(r"{{ (\w+) }}", r"%(\1)s", block) for block in BLOCKS_IN_TEMPLATES.findall(template)}
    return found


@pytest.mark.parametrize("app", APPS)
def test_every_marked_text_has_a_german_one(app: str) -> None:
    said = {key if isinstance(key, str) else key[0] for key, text in written(app).items() if text}
    assert marked(app) - said == set(), "Run makemessages -l de in the app's folder, translate, run compilemessages."


@pytest.mark.parametrize("app", APPS)
def test_placeholders_are_the_same_in_german(app: str) -> None:
    for key, text in written(app).items():
        english = key if isinstance(key, str) else key[0]
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(english)), english


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
