"""Acts from a form: asked for in two steps, and carried out once however often the form is sent."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.db import OperationalError
from django.http import HttpRequest
from psycopg.errors import LockNotAvailable

from moneyrails.services.replies import Replayed
from ops_console.access import Visit
from settld.core import transactions
from settld.core.errors import Conflict, Invalid
from settld.idempotency.services import records

KEY: Final = "idempotency_key"
TENANT: Final = "tenant"


class TenantSwitched(Conflict):
    """The form belongs to another tenant than the one now active."""

    code = "TENANT_SWITCHED"
    message = "You have switched tenants since this form was shown. Nothing was done"


class KeyMissing(Invalid):
    """The form came without the key that makes sending it twice harmless."""

    message = "This form has lost its key. Reload the page and send it again"


@dataclass(frozen=True)
class Option:
    """One choice of a select."""

    value: str
    label: str


@dataclass(frozen=True)
class Field:
    """One input, as it is shown and as it was filled in; with `rows` it is a text of several lines."""

    name: str
    label: str
    value: str = ""
    max_length: int = 500
    is_required: bool = False
    hint: str = ""
    error: str = ""
    options: tuple[Option, ...] = ()
    rows: int = 0


@dataclass(frozen=True)
class ActForm:
    """The second step of an act: what will happen, and the form that makes it happen."""

    action: str
    title: str
    text: str
    button: str
    back_href: str
    tenant_id: str
    idempotency_key: str = ""
    is_destructive: bool = False
    facts: list[Any] = field(default_factory=list)
    fields: tuple[Field, ...] = ()

    @property
    def values(self) -> dict[str, str]:
        """Give what was filled in."""
        return {item.name: item.value for item in self.fields}

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing in it is at fault."""
        return not any(item.error for item in self.fields)


def fresh(form: ActForm) -> ActForm:
    """Give a form its own key, as it is shown for the first time."""
    return replace(form, idempotency_key=str(uuid.uuid4()))


def filled(form: ActForm, posted: Mapping[str, str]) -> ActForm:
    """Take over what was sent, with what is at fault said beside each field.

    Raises TenantSwitched or KeyMissing when the form cannot stand for what the person saw.
    """
    if posted.get(TENANT) != form.tenant_id:
        raise TenantSwitched()
    key = posted.get(KEY, "").strip()
    if not key or len(key) > 100:
        raise KeyMissing()
    return replace(form, idempotency_key=key, fields=tuple(_filled(item, posted) for item in form.fields))


def _filled(item: Field, posted: Mapping[str, str]) -> Field:
    value = posted.get(item.name, "").replace("\x00", "").strip()
    error = ""
    if item.is_required and not value:
        error = f"{item.label} is needed."
    elif len(value) > item.max_length:
        error = f"At most {item.max_length} characters."
    elif item.options and value not in {option.value for option in item.options}:
        error = "Choose one of the list."
    return replace(item, value=value, error=error)


# --- Once -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Done:
    """What an act answered, and whether the answer is that of an earlier sending."""

    answer: dict[str, Any]
    is_replay: bool


def identity(request: HttpRequest, visit: Visit, form: ActForm) -> records.Identity:
    """Name the effect that this form stands for, in the API's own idempotency room."""
    wanted = records.identity(
        tenant_id=visit.tenant_id,
        principal_id=visit.principal.principal_id,
        method="POST",
        path=request.path,
        key=form.idempotency_key,
        body=form.values,
    )
    if wanted is None:
        raise KeyMissing()
    return wanted


def once(wanted: records.Identity, visit: Visit, verb: Callable[[], dict[str, Any]]) -> Done:
    """Carry out a verb in one transaction with its key and answer; a repeat gets the first answer."""
    try:
        with transactions.atomic():
            reply = records.claim(wanted)
            if reply is not None:
                return Done(json.loads(reply.body), is_replay=True)
            answer = verb()
            records.store(wanted, status=200, body=json.dumps(answer), now=visit.now)
            return Done(answer, is_replay=False)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise records.IdempotencyInProgress() from error
        raise


class FormMemory:
    """The form's key, for a verb of several transactions: it recalls the answer first and keeps it last."""

    def __init__(
        self, wanted: records.Identity, visit: Visit, shape: Callable[[Any], dict[str, Any]]
    ) -> None:
        self.wanted = wanted
        self.visit = visit
        self.shape = shape
        self.identity_hash = wanted.hash

    def recall(self) -> None:
        """Raise Replayed when this form was answered before; hold the key until the transaction ends."""
        reply = records.claim(self.wanted)
        if reply is not None:
            raise Replayed(reply)

    def keep(self, result: Any) -> None:
        """Store the answer in the transaction of the effect."""
        records.store(self.wanted, status=200, body=json.dumps(self.shape(result)), now=self.visit.now)
