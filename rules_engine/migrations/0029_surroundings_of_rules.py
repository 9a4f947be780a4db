from django.db import migrations, models

import rules_engine.surroundings.own_rules


class Migration(migrations.Migration):

    dependencies = [
        ('rules_engine', '0028_breakers'),
    ]

    operations = [
        migrations.AddField(
            model_name='rule',
            name='surroundings',
            field=models.CharField(blank=True, db_default='', default=rules_engine.surroundings.own_rules.made_here, editable=False, max_length=100, verbose_name='surroundings'),
        ),
    ]
