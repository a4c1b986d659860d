"""Columns that the tables of this room spell alike, and the stamps that each row carries.

An absent value is NULL, as the wire says null. Provider ids sort and compare byte by byte.
"""

from typing import Any, TypeVar

from django.db import models

from settld.core import clock

M_co = TypeVar("M_co", bound=models.Model, covariant=True)


def tenant() -> "models.CharField[str, str]":
    """Name the home tenant of the row."""
    return models.CharField(max_length=200, db_collation="C")


def provider() -> "models.CharField[str, str]":
    """Name the provider."""
    return models.CharField(max_length=32, db_collation="C", default="stripe")


def ref(length: int = 191) -> "models.CharField[str, str]":
    """Hold an identifier that somebody else gave, always there."""
    return models.CharField(max_length=length, db_collation="C")


def optional_ref(length: int = 191) -> Any:
    """Hold an identifier that may not be known yet; fill-only where the spec says so."""
    return models.CharField(max_length=length, db_collation="C", null=True, blank=True)


def word(choices: type[models.TextChoices], **options: Any) -> Any:
    """Hold one word of a fixed vocabulary; a CHECK backs it."""
    return models.CharField(max_length=40, choices=choices.choices, db_collation="C", **options)


def one_of(field: str, choices: type[models.TextChoices], *, name: str) -> models.CheckConstraint:
    """Let the database accept only the words of a vocabulary."""
    return models.CheckConstraint(condition=models.Q(**{f"{field}__in": choices.values}), name=name)


def is_currency(field: str, *, name: str) -> models.CheckConstraint:
    """Let the database accept only three capital letters (INV-27)."""
    return models.CheckConstraint(condition=models.Q(**{f"{field}__regex": "^[A-Z]{3}$"}), name=name)


def metadata() -> "models.JSONField[Any, Any]":
    """Hold what goes along and decides nothing."""
    return models.JSONField(default=dict, blank=True)


def belongs_to(model: str, **options: Any) -> Any:
    """Point at a row of the same tenant.

    The database constraint is a composite one that names the tenant, too; migration 0002 adds it.
    """
    return models.ForeignKey(
        model, on_delete=models.PROTECT, db_constraint=False, related_name="+", **options
    )


class StampedQuerySet(models.QuerySet[M_co]):
    """Updates move `updated_at`, which activity lists are ordered by."""

    def update(self, **changes: Any) -> int:
        """Change rows and say when."""
        return super().update(**{"updated_at": clock.now()} | changes)


class StampedManager(models.Manager[M_co]):
    """Hands such querysets out."""

    def get_queryset(self) -> models.QuerySet[M_co]:
        """Begin with all rows."""
        return StampedQuerySet(self.model, using=self._db)


class Stamped(models.Model):
    """A row that knows when it was made and when it last changed, on our process clock."""

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)

    objects = StampedManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        """Save and say when; `update_fields` need not name the stamp."""
        if not self._state.adding:
            self.updated_at = clock.now()
            if (fields := options.get("update_fields")) is not None:
                options["update_fields"] = {*fields, "updated_at"}
        super().save(*args, **options)


class Watermarked(models.Model):
    """The newest provider facts that the row holds; provider clock only (INV-31)."""

    last_provider_event_created_at = models.DateTimeField(null=True, blank=True)
    last_provider_event_id = optional_ref()
    last_provider_snapshot_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class Revised(models.Model):
    """A row whose writes the database counts, so that a look made before a provider call can be told old."""

    revision = models.IntegerField(default=1, db_default=1)

    class Meta:
        abstract = True


class Leased(models.Model):
    """The right to work on a row until a time; the version fences whoever lost it (INV-10, INV-39)."""

    lease_owner = models.CharField(max_length=120, null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    lease_version = models.IntegerField(default=1)

    class Meta:
        abstract = True
