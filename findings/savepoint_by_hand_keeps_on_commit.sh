#!/usr/bin/env bash
# What is registered by on_commit() inside atomic() is forgotten when that block is rolled back. Inside a savepoint made
# by transaction.savepoint() it stays: savepoint_rollback() undoes the rows, and the callback runs after the commit.
# Seen with Django 5.2.17 and 6.1.3 on SQLite.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Django==5.2.17"
cat > "$folder/look.py" <<'PYTHON'
import django
from django.conf import settings

DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
settings.configure(DATABASES={"default": DATABASE}, INSTALLED_APPS=APPS)
django.setup()
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import transaction

call_command("migrate", verbosity=0)
ran = []
with transaction.atomic():
    savepoint = transaction.savepoint()
    Group.objects.create(name="by hand")
    transaction.on_commit(lambda: ran.append("by hand"))
    transaction.savepoint_rollback(savepoint)
    try:
        with transaction.atomic():
            Group.objects.create(name="by atomic")
            transaction.on_commit(lambda: ran.append("by atomic"))
            raise LookupError
    except LookupError:
        pass
print("rows:", Group.objects.count(), "callbacks:", *ran)
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='rows: 0 callbacks: by hand'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
