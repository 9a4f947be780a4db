"""The first steps of a developer, as their page says them: each file written, each line run, with a real worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial" / "first-steps.md").read_text(encoding="utf-8")
#: Lines that make the environment, which the tests have.
OF_THE_ENVIRONMENT = ("python3 -m venv", ". .venv/", "pip install")
#: Seconds in which a worker that two cores share with other tests starts, and does its work.
PATIENCE = 60


def shell_lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if not line.startswith(OF_THE_ENVIRONMENT)]


def files() -> list[tuple[str, str]]:
    """Each file of the page by its path: a block's first line says it, perhaps with what it is for."""
    blocks = re.findall(r"^```(?:python|json)\n(?:#|//) (\S+?\.\w+)(.*?)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    is_old = django.VERSION < (6, 1)
    return [(path, text) for path, meant, text in blocks if is_old or "on Django 5.2" not in meant]


class Site:
    """The folder of somebody who follows the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ours = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "CELERY_BROKER_URL", "DEMO_VAR", "VIRTUAL_ENV"}
        self.environment = {name: value for name, value in os.environ.items() if name not in ours}
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def run(self, line: str) -> str:
        """Run a line as the shell does; it has to succeed. Returns all that it said."""
        command = {"cwd": self.folder, "env": self.environment, "text": True, "timeout": 120}
        done = subprocess.run(line, shell=True, capture_output=True, **command)  # type: ignore[call-overload]
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return f"{done.stdout}{done.stderr}"

    def write(self) -> None:
        """Write the page's files; what is for the settings goes to their end."""
        for name, text in files():
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            before = path.read_text(encoding="utf-8") if path.name == "settings.py" else ""
            path.write_text(before + text, encoding="utf-8")

    @contextmanager
    def working(self, line: str) -> Iterator[Path]:
        """Have a worker run meanwhile; yields the file with all that it says."""
        log = self.folder / "worker.log"
        with log.open("w") as out:
            worker = subprocess.Popen(line.split(), cwd=self.folder, env=self.environment, stdout=out, stderr=out)
            try:
                eventually(lambda: " ready." in log.read_text(), log)
                yield log
            finally:
                worker.terminate()
                worker.wait(timeout=PATIENCE)


def eventually(holds, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


def said_by(said: dict[str, str], beginning: str) -> str:
    return next(text for line, text in said.items() if line.startswith(beginning))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All of the page done in its order; what each line said, by line, and what the worker did."""
    site, said = Site(tmp_path_factory.mktemp("bookshop")), {}
    lines = shell_lines()
    begun, [worker], rest = lines[:2], [line for line in lines if line.startswith("celery")], lines[2:]
    assert len(rest) > 8
    for line in begun:
        said[line] = site.run(line)
    site.write()
    before, after = rest[: rest.index(worker)], rest[rest.index(worker) + 1 :]
    for line in before:
        said[line] = site.run(line)
    with site.working(worker) as log:
        for line in after:
            if line.startswith("python manage.py shell"):
                said[line] = site.run(line)
                eventually(lambda: "succeeded in" in log.read_text(), log)
            else:
                said[line] = site.run(line)
        said["worker"] = log.read_text()
    return said


def test_the_worker_mails_what_the_page_promises(walk: dict[str, str]):
    assert "Subject: Order A-1 is paid" in walk["worker"]
    assert "To: ada@example.com" in walk["worker"]
    assert "Thank you for 20.00." in walk["worker"]


def test_the_first_migrate_says_nothing_alarming(walk: dict[str, str]):
    said = said_by(walk, "python manage.py migrate")
    lines = [line for line in said.splitlines() if not line.rstrip().endswith("... OK")]
    assert lines[0] == "Operations to perform:"
    assert lines[2:] == ["Running migrations:"], said


def test_check_has_nothing_to_say(walk: dict[str, str]):
    assert said_by(walk, "python manage.py check") == "System check identified no issues (0 silenced).\n"


def test_each_command_on_packs_leads_to_the_next(walk: dict[str, str]):
    listed = said_by(walk, "python manage.py rulepack list")
    assert "orders: 1 rule, 0 installed" in listed
    assert "starter: 3 rules, 0 installed" in listed
    assert '"rulepack check orders" says what is in one' in listed
    checked = said_by(walk, "python manage.py rulepack check")
    assert "1 test, all passed." in checked
    assert "order-paid: When an order is created or updated and its status becomes Paid" in checked
    assert '"rulepack install orders" installs it' in checked
    assert "1 rule written" in said_by(walk, "python manage.py rulepack install")
    assert "passed  order-paid: A paid order" in said_by(walk, "python manage.py rules_test")


def test_the_order_can_be_asked_what_became_of_it(walk: dict[str, str]):
    told = said_by(walk, "python manage.py rules_explain")
    assert "order-paid v1 matched" in told
    assert "send_email: succeeded: Mailed ada@example.com" in told


@pytest.fixture
def newcomer(tmp_path: Path) -> Site:
    """A site as startproject makes it, with the app and nothing else; its tables are not made yet."""
    site = Site(tmp_path)
    site.run("django-admin startproject shop .")
    with (tmp_path / "shop" / "settings.py").open("a") as settings:
        settings.write('INSTALLED_APPS += ["django_jsonform", "rules_engine"]\n')
    return site


def test_check_says_how_sqlite_is_to_be_set_up(newcomer: Site):
    said = newcomer.run("python manage.py check")
    assert "rules_engine.W018" in said
    assert 'Set DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE"}' in said


@pytest.mark.parametrize(
    "command",
    [
        "rulepack list", "rulepack install starter", "rules_test", "rules_sweep", "rules_explain auth.user 1",
    ],
)  # fmt: skip
def test_a_command_before_migrate_says_what_to_do(newcomer: Site, command: str):
    with pytest.raises(AssertionError) as failed:
        newcomer.run(f"python manage.py {command}")
    assert 'run "manage.py migrate"' in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_the_starter_pack_is_checked_before_there_is_a_table(newcomer: Site):
    said = newcomer.run("python manage.py rulepack check starter")
    assert "4 tests, all passed." in said
    assert 'The tables of the rules are not here yet: "migrate" makes them.' in said


def test_check_names_the_app_that_draws_the_form(newcomer: Site):
    settings = newcomer.folder / "shop" / "settings.py"
    settings.write_text(settings.read_text().replace('"django_jsonform", ', ""))
    assert 'Add "django_jsonform"' in newcomer.run("python manage.py check")


def test_a_site_without_the_admin_has_rules_all_the_same(newcomer: Site):
    settings, urls = newcomer.folder / "shop" / "settings.py", newcomer.folder / "shop" / "urls.py"
    settings.write_text(settings.read_text().replace("'django.contrib.admin',", ""))
    urls.write_text("urlpatterns = []\n")
    assert "W018" in newcomer.run("python manage.py check")
    assert "starter-account-made: Log new accounts" in newcomer.run("python manage.py rulepack check starter")
