#!/usr/bin/env bash
# MariaDB's type UUID, which Django uses from 10.7 on, takes no UUID of version 8, which RFC 9562 gives to everybody for
# uses of their own. Strict mode refuses the row; ignore_conflicts stores zeros in its place.
# Seen with MariaDB 10.11.19, Django 5.2.17, mysqlclient 2.3.2 (compiled: Debian's libmariadb-dev, gcc, pkg-config). Needs
# a MariaDB, named by MYSQL_HOST (127.0.0.1) and MYSQL_USER (root, without a password); makes a temporary table in `test`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Django==5.2.17" "mysqlclient==2.3.2"
cat > "$folder/look.py" <<'PYTHON'
import os
import uuid

import django
from django.conf import settings

DATABASE = {
    "ENGINE": "django.db.backends.mysql",
    "NAME": "test",
    "USER": os.environ.get("MYSQL_USER", "root"),
    "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
}
settings.configure(DATABASES={"default": DATABASE})
django.setup()
from django.db import DatabaseError, connection, models


class Thing(models.Model):
    id = models.UUIDField(primary_key=True)

    class Meta:
        app_label = "things"


with connection.cursor() as cursor:
    cursor.execute(f"CREATE TEMPORARY TABLE things_thing (id {Thing._meta.pk.db_type(connection)} PRIMARY KEY)")
for text in ("018f0000-0000-7000-8000-000000000001", "018f0000-0000-8000-8000-000000000001"):
    try:
        Thing.objects.create(id=uuid.UUID(text))
        print("version", uuid.UUID(text).version, "is taken")
    except DatabaseError as error:
        print("version", uuid.UUID(text).version, "is refused:", error.args[0])
Thing.objects.bulk_create([Thing(id=uuid.UUID("018f0000-0000-8000-8000-000000000002"))], ignore_conflicts=True)
print("and ignoring conflicts stored as", sorted(map(str, Thing.objects.values_list("id", flat=True)))[0])
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='version 7 is taken
version 8 is refused: 1292
and ignoring conflicts stored as 00000000-0000-0000-0000-000000000000'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
