"""The one app of the bare project."""

from django.apps import AppConfig


class FloorConfig(AppConfig):
    """Holds the table."""

    name = "tests.bench.floor"
    label = "floor"
