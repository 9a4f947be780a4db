"""Install a wheel into an empty site and use it there: ``python tests/wheel_site.py dist/….whl``.

The site has Django's own apps and ours in INSTALLED_APPS, and no other setting of ours. A second one is made without
the extra "webhooks": what needs its libraries has to say so there, and all else works.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = '    "django_jsonform",\n    "rules_engine",\n    "webhooks",\n]'
ROUND = """
import importlib.resources as resources
import rules_engine, webhooks
from django.contrib.auth import get_user_model
from django.test import Client
from rules_engine.models import Execution
from rules_engine.testing import create_rule, run_due

assert "site-packages" in rules_engine.__file__ and "site-packages" in webhooks.__file__, rules_engine.__file__
assert (resources.files("rules_engine") / "py.typed").is_file()
create_rule(model="auth.user", signals=["post_save"], actions=[("log_message", {"message": "a user was saved"})])
admin = get_user_model().objects.create_superuser("admin")
run_due()
assert [execution.state for execution in Execution.objects.all()] == ["succeeded"], list(Execution.objects.values())
client = Client(headers={"host": "localhost"})
client.force_login(admin)
for path in ("rules_engine/rule/", "rules_engine/rule/add/", "rules_engine/execution/", "webhooks/endpoint/add/"):
    response = client.get(f"/admin/{path}")
    assert response.status_code == 200, (path, response.status_code)
print("A rule fired in a site made from the wheel, and its admin opens.")
"""

WITHOUT_EXTRA = """
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from rules_engine.models import Execution
from rules_engine.testing import create_rule, run_due
from webhooks.models.fields import Sealed
from webhooks.models import Endpoint

# As a site has it that was installed again without the extra.
stored = Endpoint(slug="crm", name="CRM", url="https://example.com/", secret=Sealed("enc1:x"), headers=Sealed("enc1:x"))
stored.save_base(force_insert=True)
admin = get_user_model().objects.create_superuser("admin")
create_rule(model="auth.user", signals=["post_save"], actions=[("webhook", {"endpoint": "crm"})])
admin.save()
run_due()
execution = Execution.objects.get()
assert execution.state == "retryable" and "django-signal-rules[webhooks]" in execution.error, execution.error
client = Client(headers={"host": "localhost"})
client.force_login(admin)
fields = {"name": "ERP", "slug": "erp", "url": "https://example.com/", "enabled": "on", "payload_form": "whole"}
fields["verify_tls"] = "on"
tries = ({}, {"signing": "v1a"}, {"secret": "whsk_AAAA"}, {"url": "https://b\\u00fccher.example/"})
for more in tries:
    response = client.post("/admin/webhooks/endpoint/add/", {**fields, **more})
    assert response.status_code == 200 and "django-signal-rules[webhooks]" in response.content.decode(), more
for path in ("", f"{stored.pk}/change/"):
    response = client.get(f"/admin/webhooks/endpoint/{path}")
    assert response.status_code == 200, (path, response.status_code)
assert "django-signal-rules[webhooks]" in response.content.decode()
response = client.post(f"/admin/webhooks/endpoint/{stored.pk}/change/", {**fields, "slug": "crm", "name": "Renamed"})
assert response.status_code == 302 and Endpoint.objects.get().name == "Renamed", response.status_code
try:
    call_command("webhooks_reencrypt")
except CommandError as error:
    assert "django-signal-rules[webhooks]" in str(error), error
else:
    raise AssertionError("Secrets cannot have been encrypted again.")
print("Without the extra the site works, and says what is missing where it is needed.")
"""


def run(*command: str | Path, cwd: Path) -> None:
    """Run one step with nothing of this checkout in sight; a step that fails ends it all."""
    private = {"DJANGO_SETTINGS_MODULE", "PYTHONPATH", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in private}
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, env=environment)


def main() -> None:
    """Make the environment and the site, and go one round in it."""
    if len(sys.argv) != 2:
        raise SystemExit("Expected one argument, the path of a wheel: python tests/wheel_site.py dist/….whl")
    wheel = Path(sys.argv[1]).resolve()
    _go_round(f"{wheel}[webhooks]", ROUND)
    _go_round(str(wheel), WITHOUT_EXTRA)


def _go_round(requirement: str, script: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        run(sys.executable, "-m", "venv", "venv", cwd=site)
        python = site / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        constraints = site / "constraints.txt"
        constraints.write_text(_versions(), encoding="utf-8")
        run(python, "-m", "pip", "install", "--quiet", "-c", constraints, requirement, cwd=site)
        run(python, "-m", "django", "startproject", "site_of_wheel", ".", cwd=site)
        settings = site / "site_of_wheel" / "settings.py"
        before, _, after = settings.read_text(encoding="utf-8").partition("INSTALLED_APPS = [")
        apps, _, rest = after.partition("]")
        settings.write_text(f"{before}INSTALLED_APPS = [{apps}{APPS}{rest}", encoding="utf-8")
        for arguments in (["check"], ["makemigrations", "--check"], ["migrate", "-v0"], ["shell", "-v0", "-c", script]):
            run(python, "manage.py", *arguments, cwd=site)


def _versions() -> str:
    """The tested versions without their hashes: the wheel itself has none, and pip wants all or nothing.

    Nor have they extras here: pip takes none in a constraint.
    """
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.removesuffix("\\") for line in lines if not line.startswith((" ", "#")))
    return "\n".join(re.sub(r"\[.*?\]", "", pin) for pin in pins)


if __name__ == "__main__":
    main()
