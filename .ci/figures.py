"""Print what can be counted about this tree, as a table: ``uv run .ci/figures.py``.

It reads the tree that it lies in, so that a copy of it in an older checkout gives the figures of then.

- *Fullest folders*: the folders of ``rules_engine`` and ``webhooks`` with most modules, migrations left out.
- *Folders in a knot*: the folders that import each other in a circle. What stands under ``if TYPE_CHECKING`` is no
  import; what looks out of an app (``apps``, ``checks``, ``testing``: imported by nothing that lies deeper) closes no
  circle.
- *Module changes*: how often whoever follows the functions in the order in which they are entered changes from one
  module of ours to another, while one order is saved, one rule with a condition matches it, and a worker's claim of one
  execution puts its mail into the outbox. Counted once all is loaded and cached. Whoever drains a queue looks once more
  and finds nothing: that look belongs to no mail, and is given beside it. *Calls across*: those of these calls whose
  caller, whatever of Django's lies between, is in another module. *Modules passed*: how many modules they are.
- *Broad excepts*: handlers for ``Exception``, ``BaseException`` or anything, in the three packages.
- *Public names*: what the public faces list, and how many of those README and docs name in code.
- *Test : code*: lines that are not blank, of ``tests/**/*.py`` to those of the three packages without migrations.
- *Tests*: as pytest collects them.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("rules_engine", "webhooks")
PACKAGES = (*SHIPPED, "project")
FACES = ("rules_engine", "rules_engine.actions", "rules_engine.sending")
SHOWN_FOLDERS = 5


def sources(*packages: str) -> dict[str, Path]:
    """The modules of some packages by their dotted names, migrations left out."""
    paths = (path for package in packages for path in sorted((ROOT / package).rglob("*.py")))
    return {dotted(path): path for path in paths if "migrations" not in path.parts}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def filled_lines(paths: Iterator[Path]) -> int:
    """How many lines of some files are not blank."""
    return sum(bool(line.strip()) for path in paths for line in path.read_text(encoding="utf-8").splitlines())


def fullest_folders() -> str:
    """The folders with most modules, and how many."""
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in sources(*SHIPPED).values())
    return ", ".join(f"{folder} {count}" for folder, count in counts.most_common(SHOWN_FOLDERS))


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, without what is there for type checkers."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from at_run_time(child)


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of ours that a module imports."""
    names: set[str] = set()
    for node in at_run_time(tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            longer = {f"{node.module}.{alias.name}" for alias in node.names}
            names.update(name if name in known else node.module for name in longer)
    return names & known.keys()


def faces(edges: dict[str, set[str]]) -> set[str]:
    """The modules at the top of an app, and its packages as such, that nothing deeper in that app imports."""
    outer = {name for name in edges if name.count(".") <= 1}
    while True:
        inner = edges.keys() - outer
        imported = {target for name in inner for target in edges[name] if app_of(target) == app_of(name)}
        if not outer & imported:
            return outer
        outer -= imported


def app_of(module: str) -> str:
    """The app that a module belongs to."""
    return module.partition(".")[0]


def folder_graph() -> dict[str, set[str]]:
    """Which folder imports which others."""
    known = sources(*SHIPPED)
    edges = {name: imports(path, known) - {name} for name, path in known.items()}
    folders: dict[str, set[str]] = {}
    for name in edges.keys() - faces(edges):
        folder = known[name].parent.as_posix()
        targets = {known[target].parent.as_posix() for target in edges[name]}
        folders.setdefault(folder, set()).update(targets - {folder})
    return folders


def reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    """The folders that can be reached from one by at least one import."""
    reached: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        folder = waiting.pop()
        if folder not in reached:
            reached.add(folder)
            waiting.extend(graph.get(folder, ()))
    return reached


def knotted_folders() -> int:
    """How many folders import each other in a circle."""
    graph = folder_graph()
    return sum(folder in reachable(folder, graph) for folder in graph)


def is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"} for kind in kinds)


def broad_excepts() -> int:
    """How many handlers catch errors of any kind."""
    nodes = (node for path in sources(*PACKAGES).values() for node in ast.walk(tree(path)))
    return sum(isinstance(node, ast.ExceptHandler) and is_broad(node) for node in nodes)


def listed(path: Path) -> set[str]:
    """What a module offers others: what its ``__all__`` lists, and what it imports as itself."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            names.update(item.value for item in ast.walk(node.value) if isinstance(item, ast.Constant))
        if isinstance(node, ast.ImportFrom):
            names.update(alias.name for alias in node.names if alias.asname == alias.name)
    return names


def public_names() -> str:
    """How many names the public faces list, and how many of them the docs know."""
    docs = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", docs, re.DOTALL))
    known = sources("rules_engine")
    total, documented = 0, 0
    for face in FACES:
        names = listed(known[face]) if face in known else set()
        total += len(names)
        documented += sum(is_documented(face, name, code, docs) for name in names)
    return f"{total}, of which {documented} stand in the docs"


def is_documented(face: str, name: str, code: str, docs: str) -> bool:
    """Whether the docs take over a name with its docstring, import it in code, or name it, also with its package."""
    if re.search(rf"^\.\. auto\w+:: {re.escape(face)}\.{name}\b", docs, re.MULTILINE):
        return True
    within = rf"rules_engine(\.\w+)*( import [^\n`]*|\.)\b{name}\b"
    alone = rf"`{name}(\([^`\n]*\))?`"
    return re.search(f"{within}|{alone}", code) is not None


class ModuleChanges:
    """Follows the calls of functions of ours; to be given to ``sys.setprofile``."""

    def __init__(self) -> None:
        self.changes = 0
        self.calls_across = 0
        self.modules: set[str] = set()
        self.latest = ""

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or not (module := self.own_module(frame)):
            return
        caller = frame.f_back
        while caller and not self.own_module(caller):
            caller = caller.f_back
        self.modules.add(module)
        self.calls_across += caller is None or self.own_module(caller) != module
        self.changes += self.latest != module
        self.latest = module

    @staticmethod
    def own_module(frame: FrameType) -> str:
        name = str(frame.f_globals.get("__name__", ""))
        return name if name.split(".")[0] in SHIPPED else ""


def followed(work: Callable[[], Any]) -> ModuleChanges:
    """Do it, following the calls."""
    changes = ModuleChanges()
    sys.setprofile(changes)
    try:
        work()
    finally:
        sys.setprofile(None)
    return changes


def from_save_to_mail() -> tuple[ModuleChanges, ModuleChanges]:
    """Save an order that one rule matches, and run what is due until its mail is in the outbox; then look once more."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DEMO_VAR": folder, "DATABASE_URL": "sqlite://", "DJANGO_SETTINGS_MODULE": "tests.settings"}
        sys.path.insert(0, str(ROOT))
        import django

        django.setup()
        from django.db import connection
        from django.test.utils import setup_test_environment

        setup_test_environment()
        connection.creation.create_test_db(verbosity=0)
        save_and_send = mailing_order()
        from rules_engine.testing import run_due

        save_and_send()
        run_due()
        changes, idle = followed(save_and_send), followed(run_due)
        connection.close()
    return changes, idle


def mailing_order() -> Callable[[], Any]:
    """Make the rule and a customer; returns what saves an order and sends the mail about it."""
    from django.core import mail

    from project.accounts.models import User
    from project.shop.models import Order
    from rules_engine.testing import create_rule, run_due

    condition = {"==": [{"var": "instance.status"}, "draft"]}
    config = {"to": ["shop@example.com"], "subject": "{{ instance.order_number }}", "body": "{{ instance.status }}"}
    create_rule(Order, operations=["create"], condition=condition, actions=[("send_email", config)])
    customer = User.objects.create_user("ada", "ada@example.com")

    def save_and_send() -> None:
        mail.outbox = []
        Order.objects.create(customer=customer, order_number=str(Order.objects.count()))
        run_due(limit=1)
        if len(mail.outbox) != 1:
            raise SystemExit(f"{len(mail.outbox)} mails were sent.")

    return save_and_send


def test_count() -> str:
    """How many tests pytest collects."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    number = re.search(r"^(\d+) tests collected", said, re.MULTILINE)
    return number[1] if number else "not collected"


def main() -> None:
    code = filled_lines(iter(sources(*PACKAGES).values()))
    tests = filled_lines((ROOT / "tests").rglob("*.py"))
    changes, idle = from_save_to_mail()
    rows = {
        "Fullest folders": fullest_folders(),
        "Folders in a knot": knotted_folders(),
        "Module changes, save to mail": f"{changes.changes}, and {idle.changes} for a look that finds nothing",
        "Calls across, save to mail": changes.calls_across,
        "Modules passed, save to mail": len(changes.modules),
        "Broad excepts": broad_excepts(),
        "Public names": public_names(),
        "Test : code": f"{tests} : {code} = {tests / code:.2f}",
        "Tests": test_count(),
    }
    for title, figure in rows.items():
        print(f"{title:30}{figure}")


if __name__ == "__main__":
    main()
