#!/usr/bin/env bash
# With psycopg 3 one execute() may hold several statements: fetchone() reads the answer to the first, nextset() leads to
# the next. Inside pghistory.context() the cursor comes back at the answer to the last, and the others cannot be read,
# also for statements that concern no tracked model.
# Seen with Django 5.2.17, psycopg 3.3.9 and django-pghistory 3.9.2 on the PostgreSQL of POSTGRES_URL, by default
# postgresql://postgres@127.0.0.1:5432/postgres; nothing is written to it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "Django==5.2.17" "psycopg[binary]==3.3.9" "django-pghistory==3.9.2" "django-pgtrigger==4.17.0"
cat > "$folder/look.py" <<'PYTHON'
import os
from urllib.parse import urlsplit

import django
from django.conf import settings

url = urlsplit(os.environ.get("POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"))
DATABASE = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": url.path[1:],
    "USER": url.username,
    "PASSWORD": url.password or "",
    "HOST": url.hostname,
    "PORT": url.port,
}
APPS = ["django.contrib.contenttypes", "pgtrigger", "pghistory"]
settings.configure(DATABASES={"default": DATABASE}, INSTALLED_APPS=APPS)
django.setup()
import pghistory
from django.db import connection


def answers():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'first'; SELECT 'second'")
        read = cursor.fetchall()
        while cursor.nextset():
            read += cursor.fetchall()
    return [text for (text,) in read]


print("plain:", *answers())
with pghistory.context(user=1):
    print("in a context:", *answers())
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='plain: first second
in a context: second'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
