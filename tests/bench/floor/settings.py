"""The least that Django needs, with the product's database manners."""

import os
from urllib.parse import unquote, urlsplit

_parts = urlsplit(os.environ["FLOOR_DATABASE_URL"])
SECRET_KEY = "floor"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["tests.bench.floor.apps.FloorConfig"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "tests.bench.floor.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING_CONFIG = None
_host = unquote(_parts.netloc.rpartition("@")[2])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _parts.path.lstrip("/"),
        "USER": unquote(_parts.username or ""),
        "PASSWORD": unquote(_parts.password or ""),
        "HOST": _host if _host.startswith("/") else _parts.hostname,
        "PORT": "" if _host.startswith("/") else str(_parts.port or ""),
        "CONN_MAX_AGE": None,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {"server_side_binding": True, "prepare_threshold": 5},
    }
}
