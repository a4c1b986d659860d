"""The production entry point."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settld.settings")
application = get_wsgi_application()

get_resolver().url_patterns  # noqa: B018  (loads every view now, and not at the first caller's cost)

# What is loaded now lives as long as the process: the collector need not walk it again and again. A request
# leaves few cycles behind, so looking for them more seldom costs little memory and saves time on each call.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 25, 25)
