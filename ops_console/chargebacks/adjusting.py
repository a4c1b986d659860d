"""The form by which a person takes an amount off a reversal's debt."""

import re
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from django.urls import reverse

from moneyrails.models import Operation
from moneyrails.queries.chargebacks import OpenReversal
from moneyrails.services import adjustments
from ops_console import words
from ops_console.access import Visit
from ops_console.acts import ActForm, Field, Option
from ops_console.errors import Fact
from settld.core import money

AMOUNT: Final = re.compile(r"(?P<units>[0-9]{1,14}|[0-9]{1,3}(?:,[0-9]{3}){1,4})(?:\.(?P<cents>[0-9]{1,2}))?")
REASONS: Final = {
    "": "Choose a reason",
    "dispute_won": "Dispute won: the money came back to us",
    "paid_otherwise": "Paid otherwise: by invoice, transfer or set-off",
    "reversed_in_error": "The provider reversed by mistake and paid again",
    "written_off": "Written off: we bear it",
    "agreed_settlement": "Settled with the party",
}
NOTE_MOST: Final = 2000


def href_of(operation: Operation) -> str:
    """Name the form of a reversed payout; the operation's id is the rest of the path."""
    provider, operation_id = quote(operation.provider_id, safe=":"), quote(operation.operation_id, safe=":")
    return f"/console/chargebacks/adjust/{provider}/{operation_id}"


def payouts_href(party_id: str) -> str:
    """Name the payouts of a party."""
    return f"{reverse('console:payouts')}?{urlencode({'party': party_id})}"


def form_of(visit: Visit, operation: Operation, reversal: OpenReversal, *, back_href: str) -> ActForm:
    """Say what an adjustment does, and ask how much, why, and what else should be known."""
    currency, open_cents = operation.currency, reversal.open_cents
    return ActForm(
        action=href_of(operation),
        title="Take an amount off this debt?",
        text="The party then owes that much less, for good. The payout itself stays reversed and no money"
        " moves here; a later payout withholds only what is still open.",
        button="Take it off",
        back_href=back_href,
        tenant_id=visit.tenant_id,
        facts=[
            Fact("Party", operation.party_id),
            Fact("Payout", f"{operation.period}, {operation.provider_id} ({operation.provider_mode})"),
            Fact("Taken back", f"{words.moment(operation.reversed_at)} UTC"),
            Fact("Reversed", money.show(operation.amount_cents, currency)),
            Fact("Still open", money.show(open_cents, currency)),
        ],
        fields=(
            Field(
                "amount", f"Amount in {currency}", value=_plain(open_cents), max_length=30, is_required=True,
                hint=f"At most {money.show(open_cents, currency)}, what this reversal still has open.",
            ),
            Field(
                "reason_code", "Reason", max_length=200, is_required=True,
                options=tuple(Option(code, label) for code, label in REASONS.items()),
            ),
            Field(
                "note", "Note", max_length=NOTE_MOST,
                hint="A case number, an agreement, who decided. Kept for good and shown in the audit.",
            ),
        ),
    )  # fmt: skip


def checked(form: ActForm, *, open_cents: int) -> ActForm:
    """Say beside the amount what is wrong with it; the verb asks again under the lock."""

    def look(field: Field) -> Field:
        if field.name != "amount" or field.error:
            return field
        cents = cents_of(field.value)
        if cents is None:
            return replace(field, error="Write an amount such as 1234.50.")
        if cents < 1:
            return replace(field, error="The amount must be more than nothing.")
        if cents > open_cents:
            return replace(field, error=f"Only {_plain(open_cents)} is still open.")
        return field

    return replace(form, fields=tuple(look(field) for field in form.fields))


def carry_out(visit: Visit, operation: Operation, form: ActForm) -> dict[str, Any]:
    """Adjust by the verb that the API calls, and say what came of it."""
    values = form.values
    done = adjustments.adjust(
        tenant_id=visit.tenant_id,
        party_id=operation.party_id,
        operation_id=operation.operation_id,
        amount_cents=cents_of(values["amount"]) or 0,
        reason_code=values["reason_code"],
        note=values["note"],
        actor=visit.actor,
        now=visit.now,
    )
    amount = money.show(done.entry.amount_cents, operation.currency)
    left = money.show(done.outstanding_after_cents, operation.currency)
    return {"text": f"{amount} taken off. {operation.party_id} owes {left} from here on."}


def cents_of(text: str) -> int | None:
    """Read an amount as people write it; None when it is none. Digits only: no float comes near it."""
    match = AMOUNT.fullmatch(text.strip())
    if match is None:
        return None
    cents = int(match["units"].replace(",", "")) * 100 + int((match["cents"] or "").ljust(2, "0") or 0)
    return cents if cents <= money.MAX_MINOR else None


def _plain(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
