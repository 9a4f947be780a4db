#!/usr/bin/env bash
# On SQLite a sum of decimals is added up in binary fractions: ten times 0.10 is not 1 to the database, so a filter on the
# sum misses the row, though the sum that Django reads back is equal to 1. On PostgreSQL it is exact.
# Seen with Django 5.2.17 and SQLite 3.40.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Django==5.2.17"
cat > "$folder/look.py" <<'PYTHON'
import django
from django.conf import settings

settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from django.db import connection, models
from django.db.models import Sum


class Line(models.Model):
    order = models.IntegerField()
    price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        app_label = "look"


with connection.schema_editor() as editor:
    editor.create_model(Line)
Line.objects.bulk_create([Line(order=1, price="0.10") for _ in range(10)])
orders = Line.objects.values("order").annotate(total=Sum("price"))
print("read back:", orders.get()["total"] == 1)
print("orders whose sum is 1:", orders.filter(total=1).count())
print("what is left of it:", Line.objects.aggregate(left=Sum("price") - 1)["left"])
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='read back: True
orders whose sum is 1: 0
what is left of it: -1.11022302462516E-16'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
