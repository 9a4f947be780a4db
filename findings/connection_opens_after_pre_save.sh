#!/usr/bin/env bash
# Django sends pre_save before it opens the connection that the save needs. Whoever gets ready at connection_created, as
# the signal invites to, is deaf to the first pre_save of a process whose first work on the database is a save.
# Seen with Django 5.2.17 and 6.1.3 on SQLite.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Django==5.2.17"
cat > "$folder/look.py" <<'PYTHON'
import django
from django.conf import settings

DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "look.sqlite3"}
APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
settings.configure(DATABASES={"default": DATABASE}, INSTALLED_APPS=APPS)
django.setup()
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.db.backends.signals import connection_created
from django.db.models.signals import post_save, pre_save

call_command("migrate", verbosity=0)
connection.close()  # as in a process that has just begun
order = []
for name, signal in (("pre_save", pre_save), ("connection_created", connection_created), ("post_save", post_save)):
    signal.connect(lambda name=name, **sent: order.append(name), weak=False)
Group.objects.create(name="editors")
print(django.__version__, *order)
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='5.2.17 pre_save connection_created post_save'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
