"""Columns that every table of this room spells alike.

Texts sort by code point (P6), so their columns carry the collation "C". An absent text is the empty
string; the API renders it as null.
"""

from typing import Any

from django.db import models

from settld.core import ids


def row_id() -> "models.UUIDField[Any, Any]":
    """Give a time-ordered primary key."""
    return models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)


def tenant() -> "models.CharField[str, str]":
    """Name the owner of the row."""
    return models.CharField(max_length=200, db_collation="C")


def name(length: int = 200) -> "models.CharField[str, str]":
    """Hold an identifier that is always there."""
    return models.CharField(max_length=length, db_collation="C")


def optional(length: int = 500) -> "models.CharField[str, str]":
    """Hold a text that may be absent."""
    return models.CharField(max_length=length, blank=True, default="", db_collation="C")


def word(choices: type[models.TextChoices]) -> "models.CharField[str, str]":
    """Hold one word of a fixed vocabulary; a CHECK on the table backs it."""
    return models.CharField(max_length=20, choices=choices.choices, db_collation="C")


def one_of(field: str, choices: type[models.TextChoices], *, name: str) -> models.CheckConstraint:
    """Let the database accept only the words of a vocabulary."""
    return models.CheckConstraint(condition=models.Q(**{f"{field}__in": choices.values}), name=name)


def cents(amount: int) -> models.Value:
    """Spell an amount for arithmetic beside F(), where a bare number is sent, and cut, as four bytes."""
    return models.Value(amount, output_field=models.BigIntegerField())
