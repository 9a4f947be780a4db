"""Layers, cycles, sizes and names, read from the source without importing it."""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rules_engine", "webhooks", "project")
SHIPPED = ("rules_engine", "webhooks")

#: One line a package: its layer, its name, and what goes there. A module imports from its own layer or a
#: lower one; packages import each other in one direction only. A new file goes where its line tells of it.
ROOMS = """
0  rules_engine                      the ground (errors, types …) and the face towards Django (see FACES)
0  rules_engine.conf                 settings: an accessor each
0  rules_engine.hidden               fields whose stored form is not their value, what is told instead; names of secrets
0  rules_engine.logs                 what goes to the log: in one line each, whatever data says
0  rules_engine.tracing              spans of what the engine does, and the trace that an event is a part of
1  rules_engine.databases            what differs from database to database, behind one protocol
1  rules_engine.surroundings         what a connection says besides its rows: told, kept, entered again
1  rules_engine.databases.prepared     statements whose text is made once: INSERTs of saves, queries of workers
1  rules_engine.databases.removing     removing old rows, a batch by one statement
1  rules_engine.databases.triggers     triggers that capture what is written into a table; a module each database
1  rules_engine.texts                the restricted template language
1  rules_engine.troubles             what goes wrong: counted in the process, and told as signals of the engine's own
1  rules_engine.context              what can be read of a model or a signal, and reading it
1  rules_engine.context.kept         how an event's context is kept in its row, where columns say a part of it
1  rules_engine.context.related      rows of relations to many: how many are read, and those of many objects together
1  rules_engine.logic                JSONLogic: compile, check, evaluate, trace, explain
2  rules_engine.rules                gates, matching, validation, permissions; the contract of actions
2  rules_engine.rules.expected       what a test kept with a rule expects, and in words how what came differs
2  rules_engine.rules.schedules      rules on time: the kinds of schedules, and when each is due
3  rules_engine.models               the tables
3  rules_engine.models.schedules      what is told without a signal: by time, or because somebody asks
3  rules_engine.models.tested        what a rule is tested with: the tests that are kept with it
3  rules_engine.models.captures        what triggers have captured, and which tables have such triggers
3  rules_engine.models.tallies        numbers that all processes count together, in memory first
3  rules_engine.models.breakers      how rules have failed, and which trouble stands
4  rules_engine.live                 the compiled rules of this process, and keeping them fresh
4  rules_engine.live.triggers          what live rules need of triggers, whether they have it, and making them
4  rules_engine.live.breakers         when a rule that keeps failing is paused by itself, and who is told
4  rules_engine.outbox               rows of what is to be done, hints, chains, releasing held matches
5  rules_engine.capture              from a signal to what is to be done
5  rules_engine.capture.by_clock      what is told of rules that wait by the clock
5  rules_engine.capture.inserts      whether a save inserts a row, in which tables
5  rules_engine.capture.bulk         writes of many rows by one statement, told to the rules row by row
5  rules_engine.capture.earlier      what was there before a change, and what a pre-signal leaves
5  rules_engine.capture.one_rule      telling one rule of objects as they are, where no signal was sent
5  rules_engine.capture.hearing        who hears of relations, and of what triggers tell in place of signals
5  rules_engine.capture.origins        where a change comes from, kept for whoever tells rules of it later
5  rules_engine.actions              a kind of action, one module each; what several share is a room below
5  rules_engine.actions.mail         sending mail
5  rules_engine.actions.rows         writing rows of the site's models
5  rules_engine.actions.files        removing files
5  rules_engine.packs                rule packs and ready templates
5  rules_engine.packs.ready          the forms of ready templates, and what they offer of a model
5  rules_engine.audit                the chain that seals the audit trail: sealing, verifying, forgetting
6  rules_engine.work                 claims, attempts, queues, retention, replays
6  rules_engine.work.leases         what is due, and leasing it to a worker: texts of queries that are made once
6  rules_engine.work.runs             runs of one rule on what is there: beginning, telling, cancelling
6  rules_engine.work.schedules       what time does: asking again, and looking for what is due
6  rules_engine.work.workers         what is known of workers: signs of life, connections that they need
6  rules_engine.work.standalone      workers without Celery: one process's loop, and several of them
6  rules_engine.work.captures          what triggers have captured, told to rules
6  rules_engine.work.erasure           erasing what is recorded of one object
6  rules_engine.work.troubles         trouble that workers find, told as signals
6  rules_engine.test                 testing a rule without effect, and why one did not act
6  rules_engine.test.timed           what rules on time will do: when they act next, and why not on an object
6  rules_engine.test.ahead            what a rule would do: on what is there, and how often
6  rules_engine.test.seen            which writes the rules on a model see, by which means, and what mends it
6  rules_engine.test.kept            the tests that are kept with rules: their samples, and running them
6  rules_engine.source               a rule shown as Python
6  rules_engine.source.printed       small functions that are printed along with a rule
7  rules_engine.monitoring           figures for monitors, and whether all is well
7  rules_engine.admin                brings the rooms below together
7  rules_engine.admin.parts          what pages share
7  rules_engine.admin.conditions     the condition builder, and conditions in words
7  rules_engine.admin.prose          what a rule is in running text: when, only if, at most, then
7  rules_engine.admin.reading        a rule as it is read, and its versions
7  rules_engine.admin.limits         how often a rule acts, as people say it
7  rules_engine.admin.pauses         pauses
7  rules_engine.admin.overview       the overview page
7  rules_engine.admin.flow           the picture of what sets off what
7  rules_engine.admin.test           the pages that test a rule
7  rules_engine.admin.why            why a rule did or did not act: changes, verdicts, the page that asks
7  rules_engine.admin.times          when rules on time act: the page that tells what comes, and why not on an object
7  rules_engine.admin.kept           the tests that are kept with a rule
7  rules_engine.admin.runs            running a rule on what is there: asking, choosing, how far it is
7  rules_engine.admin.records        events, executions, held matches, recordings, audit entries
7  rules_engine.admin.cards          the cards of the form of a rule, and what stands beside them
7  rules_engine.admin.rules          the list of rules and the form
7  rules_engine.templatetags         tags for the pages of a site
7  rules_engine.testing               what sites test with: rules, the contract of actions
7  rules_engine.testing.faults        processes and servers that a test kills, and a ledger of what came of it
7  rules_engine.management           what commands share
7  rules_engine.management.commands  the commands
0  webhooks                          the ground (errors, conf) and the face towards Django (see FACES)
1  webhooks.signing                  signatures, and stored secrets
1  webhooks.http                     one request that a hostile server cannot hold, swell, or send elsewhere
2  webhooks.models                   the tables
3  webhooks.endpoints                how endpoints do
4  webhooks.deliveries               one delivery without its network
5  webhooks.sending                  the queue, emptied
6  webhooks.admin                    the pages
6  webhooks.management               (nothing)
6  webhooks.management.commands      the commands
"""
#: Modules at the top of an app that Django, Celery, pytest or a site looks for; nothing inside imports them.
FACES = {
    "rules_engine": {
        *("rules_engine", "actions", "sending", "conditions", "testing", "pytest_plugin"),
        *("apps", "checks", "middleware", "tasks"),
    },
    "webhooks": {"webhooks", "apps", "receiver", "rule_actions"},
}
#: What an app may use of the engine.
PUBLIC = {"rules_engine", "rules_engine.actions", "rules_engine.sending"}
FOLDER_FILES = 15
FACE_LAYER = 9

#: Where an error of any kind is caught, and why that is right.
BOUNDARIES = {
    "rules_engine/types.py": "ask: whatever a site's own code raises is an answer, which whoever asked has to tell",
    "rules_engine/capture/receiver.py": "evaluation: a rule never breaks a save; what cannot be stored together is "
    "stored rule by rule",
    "rules_engine/capture/outcome.py": "evaluation, all rules at once: who is at fault shows where each is tried alone",
    "rules_engine/capture/earlier/old_values.py": "read at every save: a field may raise anything; the rules show it",
    "rules_engine/context/columns.py": "told at every save: a field may raise anything; the rules that ask show it",
    "rules_engine/context/subject.py": "read at every save: managers, fields, users; the rules concerned show it",
    "rules_engine/work/effects.py": "execution: whatever an action raises is what its attempt came to",
    "rules_engine/actions/mail/mailing.py": "execution: a backend may be a site's own; who was mailed is recorded",
    "webhooks/sending/loop.py": "execution: whoever waits for the event loop must hear of its end",
    "webhooks/sending/posting.py": "execution: one that cannot be sent, or not understood, takes no other along",
}
VAGUE_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
#: Words that were used for an idea of docs/glossary.md once, in any form, and what it is called now. They stand
#: neither in the name of a module, class, function or variable nor in what people read: pages, messages, docs.
OLD_WORDS = {
    "departure": "sent",
    "flying": "in flight",
    "landing": "answered",
    "sight": "subject before it is read, context after; what somebody may view",
    "meanwhile": "the thing that happens then",
    "recipe": "ready template",
    "standing": "state",
    "trial": "test",
    "trying": "test",
    "verb": "button, right, operation: what it is",
    "wording": "labels",
}
#: Names of modules alone: as a variable the word may be right.
OLD_MODULES = {
    "batches": "claims, attempts",
    "candidates": "matches",
    "charging": "attempts",
    "confined": "savepoints",
    "consequences": "decisions",
    "drains": "queues",
    "endings": "attempts",
    "failing": "troubles",
    "flights": "loop",
    "immediate": "in_process",
    "orders": "direct",
    "sight": "subject",
    "stored": "old_values",
}
#: Old words that are everyday English where people read: there they may mean what they say.
PLAIN_ENGLISH = {"meanwhile", "standing", "trying", "verb", "wording"}
#: Where an old word is plain English for another thing.
OLD_WORDS_STAY = {}
MODULE_LINES = 350
FUNCTION_LINES = 60
#: The name of a test is read in a list of failures, beside the name of its file.
TEST_NAME_LENGTH = 70
MEDIAN_FUNCTION_LINES = 10

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, Path]:
    """Every module of the three packages by its dotted name; migrations are Django's to write."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "migrations" not in parts:
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def rooms() -> dict[str, int]:
    """The layer of each package."""
    lines = (line.split(maxsplit=2) for line in ROOMS.strip().splitlines())
    return {name: int(number) for number, name, _ in lines}


def room(module: str) -> str:
    """The package a module lies in; a package's own ``__init__`` lies in it."""
    return module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]


def is_face(module: str) -> bool:
    """Whether a module is there for others: Django, Celery, pytest, a site's code."""
    app = module.split(".")[0]
    return app in FACES and module.removeprefix(f"{app}.") in FACES[app]


def layer(module: str) -> int | None:
    """The layer of a module, None where its package has no line."""
    return FACE_LAYER if is_face(module) else rooms().get(room(module))


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All that runs at some time, inside functions too; not what stands under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for other in child.orelse:
                yield other
                yield from runtime_nodes(other)
            continue
        yield child
        yield from runtime_nodes(child)


def imports(source: ast.Module, known: frozenset[str]) -> set[str]:
    """The dotted names a module imports: ``from a import b`` counts as ``a.b`` where that is a module."""
    found = set()
    for node in runtime_nodes(source):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return found


@cache
def graph() -> dict[str, set[str]]:
    known = frozenset(modules())
    return {name: imports(tree(path), known) for name, path in modules().items()}


def inside(package: str, name: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def shipped() -> list[str]:
    return [name for name in modules() if name.split(".")[0] in SHIPPED]


def test_every_package_has_a_line():
    homeless = [name for name in shipped() if layer(name) is None]
    assert homeless == [], "Put the file into a room of ROOMS, or add the line of a new room."


def test_every_line_has_a_package():
    assert set(rooms()) - {room(name) for name in shipped()} == set()


def test_a_module_imports_only_from_its_own_layer_or_a_lower_one():
    ours = set(shipped())
    wrong = [
        f"{name} (layer {layer(name)}) imports {target} (layer {layer(target)})"
        for name in ours
        for target in sorted(graph()[name] & ours)
        if name.split(".")[0] == target.split(".")[0] and (layer(target) or 0) > (layer(name) or 0)
    ]
    assert wrong == []


def test_no_two_packages_import_each_other():
    edges: dict[str, set[str]] = {}
    for name in shipped():
        if not is_face(name) and name != "rules_engine.admin":
            targets = (target for target in graph()[name] if target in modules() and not is_face(target))
            edges.setdefault(room(name), set()).update({room(target) for target in targets} - {room(name)})
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(reversed(error.args[1])))


def test_nothing_inside_goes_through_a_face():
    wrong = [
        f"{name} imports {target}"
        for name in shipped()
        for target in sorted(graph()[name])
        if not is_face(name) and is_face(target) and name.split(".")[0] == target.split(".")[0]
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_full(package: str):
    files = Counter(room(name) for name in modules() if inside(package, name))
    assert {name: count for name, count in files.items() if count > FOLDER_FILES} == {}


def test_there_are_no_import_cycles():
    known = {name for name in modules() if name not in FACES}
    edges = {name: (targets & known) - {name} for name, targets in graph().items() if name in known}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(reversed(error.args[1])))


def test_the_engine_knows_neither_the_webhooks_nor_the_demo():
    wrong = {
        name: [target for target in targets if inside("webhooks", target) or inside("project", target)]
        for name, targets in graph().items()
        if inside("rules_engine", name)
    }
    assert {name: targets for name, targets in wrong.items() if targets} == {}


def test_the_webhooks_use_only_what_the_engine_offers_others():
    wrong = {
        name: sorted(target for target in targets if inside("rules_engine", target) and target not in PUBLIC)
        for name, targets in graph().items()
        if inside("webhooks", name)
    }
    assert {name: targets for name, targets in wrong.items() if targets} == {}


def asks_a_database_its_own_way(node: ast.AST) -> bool:
    """Whether a node compares a vendor, or hands SQL to a cursor."""
    if isinstance(node, ast.Compare):
        return any(isinstance(side, ast.Attribute) and side.attr == "vendor" for side in (node.left, *node.comparators))
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"execute", "executemany"}
        and "cursor" in ast.unparse(node.func.value)
    )


def test_what_differs_between_databases_stands_in_one_room():
    wrong = {
        f"{shown(modules()[name])}:{node.lineno}"
        for name in shipped()
        if not inside("rules_engine.databases", name)
        for node in ast.walk(tree(modules()[name]))
        if isinstance(node, ast.Compare | ast.Call) and asks_a_database_its_own_way(node)
    }
    assert wrong == set(), "Put it behind a verb of databases/protocol.py."


def test_nobody_imports_the_demo():
    wrong = [name for name in shipped() if any(inside("project", target) for target in graph()[name])]
    assert wrong == []


def test_what_is_tested_on_postgresql_alone_says_why():
    tests = {str(path): path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    silent = [path for path, text in tests.items() if re.search(r"pytest\.mark\.postgres\b(?!\(\s*\")", text)]
    assert silent == [], 'say @pytest.mark.postgres("why"); what needs rows that are locked is row_locks'


def test_no_module_is_long():
    sizes = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules().values()}
    assert {name: lines for name, lines in sizes.items() if lines > MODULE_LINES} == {}


def test_no_function_is_long():
    long = {
        f"{shown(path)}:{function.lineno} {function.name}": length(function)
        for path in modules().values()
        for function in functions(path)
        if length(function) > FUNCTION_LINES
    }
    assert long == {}


@pytest.mark.parametrize("package", SHIPPED)
def test_functions_are_short_as_a_rule(package: str):
    lengths = [length(f) for name, path in modules().items() if inside(package, name) for f in functions(path)]
    assert not lengths or statistics.median(lengths) <= MEDIAN_FUNCTION_LINES


def test_names_say_what_a_module_is_about():
    tests = {path.stem for path in (ROOT / "tests").rglob("*.py")}
    parts = {part for name in modules() for part in name.split(".")}
    assert (parts | tests) & VAGUE_NAMES == set()


def names_in_tests(begin: str) -> Iterator[tuple[str, str]]:
    """The functions of the tests whose names begin so, with the file of each; read as text, which is quicker."""
    for path in (ROOT / "tests").rglob("*.py"):
        for name in re.findall(rf"^ *(?:async )?def ({begin}_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield name, shown(path)


def test_names_of_tests_are_short():
    assert [name for name, _ in names_in_tests("test") if len(name) >= TEST_NAME_LENGTH] == []


def test_a_maker_of_rows_is_written_once():
    homes: dict[str, set[str]] = {}
    for name, file in names_in_tests("make"):
        homes.setdefault(name, set()).add(file)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}, "Take it from tests/factories.py."


def words_of(name: str) -> set[str]:
    """The words of an identifier, small and in the singular: ``RuleTrials`` is ``rule`` and ``trial``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {word.lower().removesuffix("s") for word in words}


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """What a module names itself: classes, functions, their parameters, and variables."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


@cache
def names_with_old_words() -> dict[str, list[str]]:
    """Where a name has an old word in it, by the word: each module is read once for all of them."""
    found: dict[str, list[str]] = {}
    for path in modules().values():
        for line, name in [(1, path.stem), *identifiers(path)]:
            for old in words_of(name) & OLD_WORDS.keys():
                if (shown(path), old) not in OLD_WORDS_STAY:
                    found.setdefault(old, []).append(f"{shown(path)}:{line} {name}")
    return found


@pytest.mark.parametrize("old", OLD_WORDS)
def test_an_old_word_names_nothing(old: str):
    named = names_with_old_words().get(old, [])
    assert named == [], f"Say {OLD_WORDS[old]} (docs/glossary.md)."


def test_no_module_has_an_old_name():
    assert {name: OLD_MODULES[last] for name in shipped() if (last := name.rpartition(".")[2]) in OLD_MODULES} == {}


@cache
def visible_texts() -> dict[str, str]:
    """What people read, by file: pages, documentation, and the messages that are translated."""
    paths = [path for app in PACKAGES for path in (ROOT / app).rglob("*.html")]
    paths += [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    paths += [path for app in SHIPPED for path in (ROOT / app).rglob("django.po")]
    return {shown(path): path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("old", sorted(OLD_WORDS.keys() - PLAIN_ENGLISH))
def test_an_old_word_is_read_nowhere(old: str):
    said = [
        f"{name}:{number} {line.strip()[:80]}"
        for name, text in visible_texts().items()
        if name not in {"docs/glossary.md", "docs/changelog.md"}
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(rf"\b{old}s?\b", line, re.IGNORECASE)
    ]
    assert said == [], f"Say {OLD_WORDS[old]} (docs/glossary.md)."


def test_every_place_that_the_glossary_names_is_there():
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    places = re.findall(r"`((?:rules_engine|webhooks|tests)/[^`]*)`", text)
    assert len(places) > 30
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_the_glossary_is_in_the_order_of_the_alphabet():
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    words = [word.lower() for word in re.findall(r"^\| \*\*(.+?)\*\*", text, re.MULTILINE)]
    assert words == sorted(set(words))


def test_the_words_of_an_identifier():
    assert words_of("RuleTrials") == {"rule", "trial"}
    assert words_of("_try_on_HTTPObject2") == {"try", "on", "http", "object"}
    assert "verb" not in words_of("verbose_name")


def is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"} for name in caught)


def broad_handlers(path: Path) -> list[int]:
    return [node.lineno for node in ast.walk(tree(path)) if isinstance(node, ast.ExceptHandler) and is_broad(node)]


def test_errors_of_every_kind_are_caught_only_at_the_boundaries():
    broad = {shown(path): found for path in modules().values() if (found := broad_handlers(path))}
    assert {name: lines for name, lines in broad.items() if name not in BOUNDARIES} == {}


@pytest.mark.parametrize("name", shipped())
def test_what_is_public_says_what_it_is(name: str):
    path = modules()[name]
    public = [
        node for node in tree(path).body if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]
    silent = [node.name for node in public if not ast.get_docstring(node)]
    assert silent == []
    assert ast.get_docstring(tree(path)) or not tree(path).body, "The module has no docstring."


def test_imports_inside_functions_count_and_those_for_types_do_not():
    source = ast.parse(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from rules_engine import types\n"
        "else:\n    from rules_engine import conf\n"
        "def late():\n    from rules_engine.rules import gates, nothing\n"
    )
    known = frozenset({"rules_engine.types", "rules_engine.conf", "rules_engine.rules", "rules_engine.rules.gates"})
    assert imports(source, known) == {"typing", "rules_engine.conf", "rules_engine.rules.gates", "rules_engine.rules"}
