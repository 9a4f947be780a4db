#!/usr/bin/env bash
# Deleting either side of a many-to-many relation takes its rows away without any m2m_changed, and by post_delete they
# are gone: what an object was related to can be read at pre_delete alone. clear() before the delete does send it.
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
from django.db.models.signals import m2m_changed, post_delete, pre_delete

call_command("migrate", verbosity=0)
through, said = Group.permissions.through, []
m2m_changed.connect(lambda action, **sent: said.append(action), sender=through, weak=False)
for name, signal in (("pre_delete", pre_delete), ("post_delete", post_delete)):
    signal.connect(lambda name=name, **sent: said.append(f"{name}:{through.objects.count()}"), weak=False)
for side in (Group, Permission):
    group, permission = Group.objects.create(name=side.__name__), Permission.objects.first()
    group.permissions.add(permission)
    said.clear()
    (group if side is Group else permission).delete()
    print(f"{side.__name__} deleted:", *said)
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='Group deleted: pre_delete:1 post_delete:0
Permission deleted: pre_delete:1 post_delete:0'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
