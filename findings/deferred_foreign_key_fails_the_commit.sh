#!/usr/bin/env bash
# Foreign keys made by Django are checked at the end of the transaction. An inner atomic() with "except IntegrityError"
# around it, meant to keep a side effect from harming its caller, raises nothing: the commit of the caller fails.
# Seen with Django 5.2.17 on SQLite; on PostgreSQL likewise.
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
from django.db import IntegrityError, transaction

call_command("migrate", verbosity=0)
try:
    with transaction.atomic():
        Group.objects.create(name="what the caller wanted")
        try:
            with transaction.atomic():
                Permission.objects.create(name="on the side", codename="side", content_type_id=999)
            print("inside: nothing raised")
        except IntegrityError:
            print("inside: raised")
    print("outside: committed")
except IntegrityError as error:
    print("outside:", error)
print("rows of the caller:", Group.objects.count())
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='inside: nothing raised
outside: FOREIGN KEY constraint failed
rows of the caller: 0'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
