"""Workers without Celery: what ``manage.py rules_worker`` runs."""
