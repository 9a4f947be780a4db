from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rules_engine", "0007_claim_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="RuleSetChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.BigIntegerField(db_index=True)),
                ("rules", models.JSONField(null=True)),
                ("stamp", models.CharField(max_length=32)),
            ],
            options={
                "verbose_name": "rule set change",
            },
        ),
    ]
