import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rules_engine", "0008_rule_set_changes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="attempt",
            name="execution",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="attempt_set",
                to="rules_engine.execution",
                verbose_name="execution",
            ),
        ),
    ]
