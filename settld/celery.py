"""The Celery app. Redis only wakes workers; what they do is in PostgreSQL."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settld.settings")

app = Celery("settld")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
