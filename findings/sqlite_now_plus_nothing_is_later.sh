#!/usr/bin/env bash
# On SQLite `Now()` is a text with three digits after the second, and `Now()` plus a timedelta, even one of nothing, one
# with six. They are compared as texts, so that what is due from `Now() + timedelta(0)` on is not due to a look at
# `Now()` in the same statement, nor until the next millisecond begins. On PostgreSQL it is.
# Seen with Django 5.2.17 and 6.1.3, and SQLite 3.40.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Django==5.2.17"
cat > "$folder/look.py" <<'PYTHON'
from datetime import timedelta

import django
from django.conf import settings

settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}, USE_TZ=True)
django.setup()
from django.db import connection, models
from django.db.models import DateTimeField, ExpressionWrapper, Value
from django.db.models.functions import Cast, Length, Now


class Task(models.Model):
    class Meta:
        app_label = "look"


with connection.schema_editor() as editor:
    editor.create_model(Task)
Task.objects.create()
later = ExpressionWrapper(Now() + Value(timedelta(0)), output_field=DateTimeField())
tasks = Task.objects.annotate(since=later)
print("due in the same statement:", tasks.filter(since__lte=Now()).count())
texts = {"now": Cast(Now(), models.TextField()), "later": Cast(later, models.TextField())}
lengths = Task.objects.annotate(**texts).values_list(Length("now"), Length("later"))
# "…:00.123" and "…:00.123000"; of the clock at .000 the second has no fraction at all.
print("as texts:", lengths.get())
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
[[ $seen == *"(23, 19)"* ]] && seen=$(cd "$folder" && venv/bin/python look.py)
expected='due in the same statement: 0
as texts: (23, 26)'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
