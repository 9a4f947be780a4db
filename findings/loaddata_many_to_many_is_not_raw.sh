#!/usr/bin/env bash
# The deserializer that loaddata uses saves objects with raw=True, so that receivers can leave fixtures alone, and then
# sets their many-to-many rows, whose m2m_changed says nothing of it: until Django 6.1, where it has raw as well.
# Seen with Django 5.2.17 (6.1.3: m2m_changed post_add raw=True) on SQLite.
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
from django.core import serializers
from django.db.models.signals import m2m_changed, post_save

call_command("migrate", verbosity=0)
group = Group.objects.create(name="editors")
group.permissions.add(Permission.objects.first())
fixture = serializers.serialize("json", [group])
group.delete()


def hear(name):
    def receiver(raw="not said", action=None, **sent):
        print(*filter(None, (name, action)), f"raw={raw}")

    return receiver


hear_save, hear_relation = hear("post_save"), hear("m2m_changed")
post_save.connect(hear_save, sender=Group)
m2m_changed.connect(hear_relation, sender=Group.permissions.through)
for loaded in serializers.deserialize("json", fixture):
    loaded.save()
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='post_save raw=True
m2m_changed pre_add raw=not said
m2m_changed post_add raw=not said'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
