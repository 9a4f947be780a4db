"""What the pages say of the code is so: settings and their defaults, commands, public names, the package map, links."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import find_commands, load_command_class
from django.test import override_settings

import rules_engine
from rules_engine import conditions, models
from rules_engine import conf as engine_conf
from rules_engine.actions import Action
from rules_engine.context import signals
from rules_engine.context.subject import PARTS
from rules_engine.logic.evaluator import operators
from rules_engine.rules import registry
from rules_engine.rules.gates import GATES
from rules_engine.texts import tags
from tests.test_architecture import PACKAGES, ROOMS
from webhooks import conf as webhooks_conf
from webhooks.models import Endpoint

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
API = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
ARCHITECTURE = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
#: Commands of these apps, by the package they lie in. Some of Django's own options are in every command.
COMMANDS = {"rules_engine": "rules_engine", "webhooks": "webhooks", "project.demo": "project/demo"}
DJANGOS_OPTIONS = {
    *("--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color"),
    *("--force-color", "--skip-checks"),
}


def sections(text: str) -> dict[str, str]:
    """The text below each heading of the second level."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def table(text: str) -> list[list[str]]:
    """The cells of each row of a section's table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def settings_in(section: str) -> dict[str, str]:
    """The default of each key in the settings page, as it is written there."""
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    return {row[0].strip("| `"): row[2].strip("`") for row in table(sections(page)[section])}


def comparable(value: Any) -> Any:
    """A default in one form: what the page writes as a list or dict, the code may hold as a tuple, set or dataclass."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return sorted(value) if isinstance(value, list | tuple | frozenset) else value


@pytest.mark.parametrize("conf", [engine_conf, webhooks_conf])
def test_the_settings_page_has_every_key(conf: ModuleType):
    assert list(settings_in(conf.SETTING)) == list(conf.ACCESSORS)


@pytest.mark.parametrize("conf", [engine_conf, webhooks_conf])
def test_the_settings_page_has_the_defaults_that_are(conf: ModuleType):
    written = {key: comparable(ast.literal_eval(default)) for key, default in settings_in(conf.SETTING).items()}
    with override_settings(**{conf.SETTING: {}}):
        assert written == {key: comparable(accessor()) for key, accessor in conf.ACCESSORS.items()}


def commands() -> Iterator[tuple[str, str]]:
    for app, folder in COMMANDS.items():
        for name in find_commands(str(ROOT / folder / "management")):
            yield app, name


def options(parser: argparse.ArgumentParser) -> set[str]:
    """The long names of a command's own options, and of those of the commands below it."""
    found = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found |= options(below)
    return found - DJANGOS_OPTIONS


@pytest.mark.parametrize(("app", "name"), list(commands()))
def test_the_commands_page_has_every_command_with_its_options(app: str, name: str):
    page = sections((DOCS / "reference" / "commands.md").read_text(encoding="utf-8"))
    assert name in page
    own = set() if name == "loaddata" else options(load_command_class(app, name).create_parser("manage.py", name))
    assert {option for option in own if f"`{option}" not in page[name]} == set()


def checks() -> set[str]:
    sources = (ROOT / "rules_engine" / "checks.py", ROOT / "webhooks" / "checks.py")
    return {found for path in sources for found in re.findall(r'id="([\w.]+)"', path.read_text(encoding="utf-8"))}


def test_the_commands_page_has_every_check():
    page = sections((DOCS / "reference" / "commands.md").read_text(encoding="utf-8"))["check"]
    assert {name for name in checks() if f"`{name}`" not in page} == set()


def public_names(module: ModuleType) -> set[str]:
    """What a face offers; ``rules_engine`` loads its names when they are asked for."""
    if module is rules_engine:
        return {"acting_as", "keep_to_one_line", "paused", "register_signal", "__version__"}
    source = ast.parse(inspect.getsource(module))
    imported = [node for node in ast.walk(source) if isinstance(node, ast.ImportFrom) and node.module != "__future__"]
    return {alias.asname or alias.name for node in imported for alias in node.names}


@pytest.mark.parametrize("face", ["rules_engine", "rules_engine.actions", "rules_engine.sending"])
def test_the_api_page_has_every_name_of_a_face_once(face: str):
    listed = re.findall(rf"^\.\. (?:auto|py:)\w+:: (?:{re.escape(face)}\.)?(\w+)$", API, flags=re.MULTILINE)
    names = public_names(import_module(face))
    assert {name: listed.count(name) for name in names} == dict.fromkeys(names, 1)


def test_what_the_pages_named_before_can_still_be_imported():
    [sentence] = re.findall(r"^The names (.+?) can be imported", API, flags=re.MULTILINE | re.DOTALL)
    names = re.findall(r"`(\w+)`", sentence)
    assert {"Action", "ActionResult", "register_action", "register_overview"} <= set(names)
    assert [name for name in names if not hasattr(rules_engine, name)] == []


@pytest.mark.parametrize("name", ["rules_engine.conditions", "rules_engine.testing"])
def test_the_api_page_shows_whole_modules_that_say_what_is_theirs(name: str):
    assert f".. automodule:: {name}\n   :members:\n" in API
    module = import_module(name)
    silent = [
        member for member in module.__all__ if not inspect.getdoc(getattr(module, member)) and member not in PARTS
    ]
    assert silent == []


def test_the_api_page_names_what_conditions_begin_with():
    roots = {name for name in conditions.__all__ if name in PARTS}
    assert {name for name in roots if f"`{name}`" not in API} == set()


def reference(name: str) -> str:
    return (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")


def test_the_context_page_has_every_part_of_the_context():
    listed = re.findall(r"^(\w+) ", reference("context").split("```")[1], flags=re.MULTILINE)
    assert set(PARTS) <= set(listed)


def test_the_rules_page_has_every_field_of_a_rule_and_of_its_actions():
    kept = {"id", "rule", "updated_at"}
    fields = {field.name for model in (models.Rule, models.RuleAction) for field in model._meta.concrete_fields} - kept
    assert {name for name in fields if f"`{name}`" not in reference("rules")} == set()


def test_the_context_page_has_every_tag_and_filter_of_texts():
    rows = table(sections(reference("context"))["Texts"])
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert named == {*tags.register.tags, *tags.register.filters}


def test_the_jsonlogic_page_has_every_operator():
    rows = table(sections(reference("jsonlogic"))["Operators"])
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row[1])} == set(operators()) - {"throw"}


def test_the_rules_page_has_every_gate_in_order():
    assert [row[0].strip("| `") for row in table(sections(reference("rules"))["Gates"])] == [
        gate.name for gate in GATES
    ]


def test_the_actions_page_has_every_kind_and_its_settings():
    rows = {row[0].strip("| `"): row[2] for row in table(reference("actions").split("\n## ")[0])}
    own = [action for action in registry.kinds().values() if type(action).__module__.startswith(("rules_", "webhooks"))]
    assert {action.kind for action in own} == set(rows)
    for action in own:
        assert [key for key in action.schema["keys"] if f"`{key}`" not in rows[action.kind]] == []


def test_the_actions_page_has_every_member_of_the_contract():
    members = {name for name in (*vars(Action), *Action.__annotations__) if not name.startswith("_")}
    listed = re.findall(r"`(\w+)", " ".join(row[0] for row in table(sections(reference("actions"))["Your own"])))
    assert members <= set(listed)


def test_the_signals_page_has_every_signal_of_django():
    named = {*signals.MODEL_SIGNALS, *(name for name in signals.registered() if signals.is_djangos(name))}
    assert {name for name in named if f"`{name}`" not in reference("signals")} == set()


def own_addresses() -> set[str]:
    """The pages that the two apps add to Django's own, as the admin page writes their addresses."""
    found = set()
    for model, page in admin.site._registry.items():
        label = f"{model._meta.app_label}_{model._meta.model_name}"
        djangos = {f"{label}_{name}" for name in ("changelist", "add", "history", "delete", "change")}
        named = [url for url in page.get_urls() if url.name and url.name not in djangos]
        if model._meta.app_label in ("rules_engine", "webhooks"):
            found |= {f"{model._meta.app_label}/{model._meta.model_name}/{written(url.pattern)}" for url in named}
    return found


def written(pattern: Any) -> str:
    kinds = {"object_id": "PK", "number": "NUMBER", "test_id": "NUMBER", "key": "KEY"}
    return re.sub(r"<\w+:(\w+)>", lambda found: kinds[found[1]], str(pattern))


def test_the_admin_page_has_every_address_of_our_own():
    rows = table(sections(reference("admin"))["Addresses"])
    assert {address for row in rows for address in re.findall(r"`([\w/-]+)`", row[0])} == own_addresses()


def test_the_permissions_page_has_every_permission_of_our_own():
    tables = (models.Rule, models.Execution, models.HeldMatch, Endpoint)
    named = {f"{table._meta.app_label}.{name}" for table in tables for name, _title in table._meta.permissions}
    assert {name for name in named if f"`{name}`" not in reference("permissions")} == set()


#: Tables whose third column is not a test.
UNTESTED = ("Who is trusted with what", "Not tested, and why", "Webhooks")


def test_each_promise_names_a_test_that_there_is():
    page = sections((DOCS / "explanation/guarantees.md").read_text(encoding="utf-8"))
    promises = table(page["From when on, and the test that shows it"])
    assert len(promises) > 15
    assert [row[2] for row in promises if not is_there(row[2])] == []


def is_there(named: str) -> bool:
    """Whether this names a test, with its file."""
    match = re.fullmatch(r"`(tests/[a-z_/]+\.py)::(test_[a-z_0-9]+)`", named)
    return match is not None and f"def {match[2]}(" in (ROOT / match[1]).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["reference/values.md", "explanation/threat-model.md", "explanation/failures.md"])
def test_a_page_of_promises_names_tests_that_there_are(name: str):
    page = sections((DOCS / name).read_text(encoding="utf-8"))
    rows = [row for title, section in page.items() if title not in UNTESTED for row in table(section)]
    assert len(rows) > 30
    assert [row[2] for row in rows if not is_there(row[2])] == [], "The third column names one test, with its file."


def test_every_fault_stands_there_by_its_number():
    """A case that nobody tests any more, or that was left out when rows were put together, is missed here."""
    page = sections((DOCS / "explanation/failures.md").read_text(encoding="utf-8"))
    rows = [row for title, section in page.items() if title != "Webhooks" for row in table(section)]
    named = {int(number) for row in rows for number in re.findall(r"\d+", row[-1].strip(" |"))}
    never_given = {29, 59, 65}
    assert named == set(range(1, 67)) - never_given


def test_the_architecture_page_has_the_map_that_the_packages_are_held_to():
    rooms = [line.split(maxsplit=2) for line in ROOMS.strip().splitlines()]
    wanted = [f"| {layer} | `{package}` | {what} |" for layer, package, what in rooms]
    assert re.findall(r"^\| \d \| .*$", ARCHITECTURE, flags=re.MULTILINE) == wanted


def test_the_architecture_page_names_modules_that_there_are():
    named = set(re.findall(r"(?<![\w/])((?:[\w]+/)+(?:\w+\.py)?)", ARCHITECTURE))
    inside = {path for path in named if path.split("/")[0] not in ("actions", "fixtures", "management", "tests")}
    missing = [path for path in inside if not any((base / path).exists() for base in (ROOT, ROOT / "rules_engine"))]
    assert missing == []


def test_nothing_cites_a_document_that_is_not_here():
    """A reason stands where it is needed, or in a file of this repository."""
    files = [path for folder in (*PACKAGES, "docs", "tests", "findings") for path in (ROOT / folder).rglob("*")]
    texts = {
        path: path.read_text("utf-8") for path in files if path.suffix in {".py", ".js", ".css", ".html", ".md", ".sh"}
    }
    citing = re.compile(r"\b(?:DESIGN|FAULTS|HOUSE|PERFORMANCE|DEVELOPERS)\b(?: §| \d| \")")
    assert {path.relative_to(ROOT).as_posix() for path, text in texts.items() if citing.search(text)} == set()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_the_links_of_the_top_level_lead_somewhere(name: str):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_headings_go_down_by_one_level_at_a_time(page: Path):
    """The pages are not built otherwise."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]
    assert all(below <= above + 1 for above, below in pairwise(levels))
