"""Columns that tables of several rooms spell alike.

Identifiers sort and compare byte by byte (P6), so their columns carry the collation "C". An absent value is
NULL, as the wire says null.
"""

from typing import Any, Final

from django.db import models
from django.db.models import Q

from settld.core import ids
from settld.core.money import MAX_MINOR

CURRENCY_PATTERN: Final = r"^[A-Z][A-Z0-9_]{2,11}$"
PERIOD_PATTERN: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
ROLE_PATTERN: Final = r"^[a-z][a-z0-9_]{0,63}$"
HASH_PATTERN: Final = r"^[0-9a-f]{64}$"


def row_id() -> "models.UUIDField[Any, Any]":
    """Give a time-ordered primary key."""
    return models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)


def tenant() -> "models.CharField[str, str]":
    """Name the owner of the row."""
    return models.CharField(max_length=200, db_collation="C")


def name(length: int = 200) -> "models.CharField[str, str]":
    """Hold an identifier that is always there."""
    return models.CharField(max_length=length, db_collation="C")


def optional(length: int = 200) -> Any:
    """Hold an identifier or text that may be absent."""
    return models.CharField(max_length=length, db_collation="C", null=True, blank=True)


def word(choices: type[models.TextChoices], **options: Any) -> Any:
    """Hold one word of a fixed vocabulary; a CHECK on the table backs it."""
    return models.CharField(max_length=40, choices=choices.choices, db_collation="C", **options)


def cents(**options: Any) -> "models.BigIntegerField[Any, Any]":
    """Hold whole minor units."""
    return models.BigIntegerField(**options)


def currency() -> "models.CharField[str, str]":
    """Hold a currency's name, three to twelve characters."""
    return models.CharField(max_length=12, db_collation="C", default="USD")


def one_of(field: str, choices: type[models.TextChoices], *, name: str) -> models.CheckConstraint:
    """Let the database accept only the words of a vocabulary, and never their absence."""
    return models.CheckConstraint(
        condition=Q(**{f"{field}__in": choices.values, f"{field}__isnull": False}), name=name
    )


def is_currency(field: str, *, name: str) -> models.CheckConstraint:
    """Let the database accept only names that currencies may have."""
    return models.CheckConstraint(condition=Q(**{f"{field}__regex": CURRENCY_PATTERN}), name=name)


def is_hash(field: str, *, name: str) -> models.CheckConstraint:
    """Let the database accept only 64 lowercase hexadecimal digits."""
    return models.CheckConstraint(condition=Q(**{f"{field}__regex": HASH_PATTERN}), name=name)


def in_range(field: str, *, name: str, least: int = 0, most: int = MAX_MINOR) -> models.CheckConstraint:
    """Let the database accept only amounts between two bounds, both included."""
    return models.CheckConstraint(condition=Q(**{f"{field}__gte": least, f"{field}__lte": most}), name=name)
