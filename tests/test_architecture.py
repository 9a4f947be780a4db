"""Layers, cycles, sizes and names, read from the source without importing it."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rules_engine", "webhooks", "project")
SHIPPED = ("rules_engine", "webhooks")

#: DESIGN §4: what lies in each layer, as paths inside rules_engine; a folder stands for all that is in it.
LAYERS: dict[int, str] = {
    0: "errors types",
    1: """
       conf retry templating/ conditions overview
       rules/__init__ rules/changes rules/components rules/diagnosis rules/engine rules/jsonlogic rules/jsontext
       rules/matching rules/repetition rules/scope rules/shape rules/signals rules/tracing rules/variables
       events/__init__ events/actor events/aggregates events/arguments events/confined events/context
       events/exceptions events/names events/paths events/requests events/snapshot
       events/visible
       """,
    2: """
       actions/__init__ actions/base actions/registry actions/values
       rules/cascades rules/holding rules/validation
       """,
    3: "models/ hints",
    4: """
       rules/cache rules/compiler rules/permissions rules/recorders rules/versions rules/watcher
       actions/ rule_actions batches claims drains endings execution heartbeats lanes leasing limits retention source/
       """,
    5: "outbox orders releasing replays",
    6: "events/ middleware rejections",
    7: "tasks",
    8: "apps checks packs packs/ trials/ admin/ management/ recipes testing pytest_plugin",
}
#: The public face: it may bring out anything, and nothing inside goes through it.
FACE = "rules_engine"

#: Where an error of any kind is caught, and why that is right.
BOUNDARIES = {
    "rules_engine/actions/mailing.py": "a site's mail backend may raise anything, and who was mailed must be recorded",
    "rules_engine/events/capture.py": "evaluation: a rule never breaks a save",
    "rules_engine/events/snapshot.py": "a field's own __str__ may raise anything",
    "rules_engine/events/named.py": "evaluation: hands what went wrong in its thread to the receiver",
    "rules_engine/events/immediate.py": "execution: an action may raise anything, and never breaks a save",
    "rules_engine/events/vetoes.py": "evaluation: validation goes on without a rule that cannot be asked",
    "rules_engine/execution.py": "execution: an action may raise anything",
    "rules_engine/hints.py": "its thread outlives whatever a transport raises",
    "rules_engine/rules/cascades.py": "an action's own code says what it changes",
    "rules_engine/rules/watcher.py": "a fault in loading rules breaks no connection of the caller's, and no thread",
    "rules_engine/claims.py": "execution: an action that cannot say when to try again keeps no outcome from its record",
    "rules_engine/batches.py": "execution: an auth backend may raise anything, and takes no other execution along",
    "rules_engine/trials/previews.py": "a preview is an action's own code, and may raise anything",
    "webhooks/sending/loop.py": "execution: a delivery must land, whatever became of it",
    "webhooks/sending/sender.py": "execution: one that cannot be sent, or not understood, takes no other along",
    "rules_engine/rules/compiler.py": "evaluation: an action's own code looks at its config",
    "rules_engine/rules/validation.py": "evaluation: an action's own code looks at its config",
}
VAGUE_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
MODULE_LINES = 350
FUNCTION_LINES = 60
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


def layer(module: str) -> int | None:
    """The layer of a module of rules_engine, None where the table has no place for it. The longest entry decides."""
    path = shown(modules()[module]).removeprefix("rules_engine/").removesuffix(".py")
    places = {entry: number for number, entries in LAYERS.items() for entry in entries.split()}
    fitting = [entry for entry in places if path == entry or (entry.endswith("/") and path.startswith(entry))]
    return places[max(fitting, key=len)] if fitting else None


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All that runs at some time, inside functions too; not what stands under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
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


def test_every_module_of_the_engine_has_a_layer():
    homeless = [name for name in modules() if inside("rules_engine", name) and name != FACE and layer(name) is None]
    assert homeless == [], "Give it a place in LAYERS."


def test_a_module_imports_only_from_its_own_layer_or_a_lower_one():
    wrong = [
        f"{name} (L{own}) imports {target} (L{other})"
        for name, targets in graph().items()
        if inside("rules_engine", name) and name != FACE and (own := layer(name)) is not None
        for target in sorted(targets)
        if target != FACE and target in modules() and inside("rules_engine", target)
        if (other := layer(target)) is not None and other > own
    ]
    assert wrong == []


def test_nothing_inside_the_engine_goes_through_its_public_face():
    wrong = [name for name, targets in graph().items() if inside(FACE, name) and name != FACE and FACE in targets]
    assert wrong == []


def test_there_are_no_import_cycles():
    known = set(modules()) - {FACE}
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


def test_the_webhooks_use_only_the_public_face_of_the_engine():
    wrong = {
        name: sorted(target for target in targets if inside(FACE, target) and target != FACE)
        for name, targets in graph().items()
        if inside("webhooks", name)
    }
    assert {name: targets for name, targets in wrong.items() if targets} == {}


def test_nobody_imports_the_demo():
    wrong = [name for name in shipped() if any(inside("project", target) for target in graph()[name])]
    assert wrong == []


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
        "def late():\n    from rules_engine.rules import cache, nothing\n"
    )
    known = frozenset({"rules_engine.types", "rules_engine.conf", "rules_engine.rules", "rules_engine.rules.cache"})
    assert imports(source, known) == {"typing", "rules_engine.conf", "rules_engine.rules.cache", "rules_engine.rules"}
