#!/usr/bin/env bash
# Django stores times in UTC where USE_TZ is on, and reads them as UTC. Now() on MySQL and MariaDB is the session's local
# time, and Django leaves the session's time zone to the server: what Now() writes is hours from what Python writes.
# Seen with MariaDB 10.11.19, Django 5.2.17, mysqlclient 2.3.2 (compiled: Debian's libmariadb-dev, gcc, pkg-config). Needs
# a MariaDB, named by MYSQL_HOST (127.0.0.1) and MYSQL_USER (root, without a password); it writes nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Django==5.2.17" "mysqlclient==2.3.2"
cat > "$folder/look.py" <<'PYTHON'
import os

import django
from django.conf import settings

DATABASE = {
    "ENGINE": "django.db.backends.mysql",
    "NAME": "information_schema",
    "USER": os.environ.get("MYSQL_USER", "root"),
    "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
    # As where the server's clock is set to the time of Karachi, which keeps no summer time.
    "OPTIONS": {"init_command": "SET time_zone = '+05:00'"},
}
settings.configure(DATABASES={"default": DATABASE}, USE_TZ=True)
django.setup()
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class Name(models.Model):
    name = models.CharField(primary_key=True, max_length=64, db_column="CHARACTER_SET_NAME")

    class Meta:
        app_label = "names"
        db_table = "CHARACTER_SETS"
        managed = False


[told] = Name.objects.values_list(Now(), flat=True)[:1]
print("Now() is", round((told - timezone.now()).total_seconds() / 3600), "hours ahead, as", told.tzinfo)
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='Now() is 5 hours ahead, as UTC'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
