"""A provider whose statement a test writes, and a tenant whose payouts stand in it."""

import dataclasses
import datetime as dt
from typing import Any

from reconciliation.services import provider_report, statement_pull
from settld.settings_parsing import MoneyRails
from settld.stripe_gateway import answers
from settld.stripe_gateway.outcomes import ProviderInDoubt, ProviderRejected
from tests.reconciliation.books import NOW, PERIOD, TENANT, Books

STRIPE = "stripe_sim"
ACCOUNT = "acct_books"
PAID_AT = NOW - dt.timedelta(days=1)
PAGE = 3


def with_stripe(rails: MoneyRails) -> MoneyRails:
    """The deployment's providers, and one that is Stripe's in production."""
    provider = dataclasses.replace(rails.default, provider_id=STRIPE, mode="production")
    return dataclasses.replace(rails, providers={**rails.providers, STRIPE: provider})


@dataclasses.dataclass
class Stripe:
    """Answers in the client's place, in pages of three, newest first; `fails_at` breaks the nth call."""

    transfers: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    reversals: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    calls: int = 0
    fails_at: int = 0
    forgets: set[str] = dataclasses.field(default_factory=set)
    before_page: Any = None

    def transfer(self, transfer_id: str, *, at: dt.datetime = PAID_AT, **more: Any) -> dict[str, Any]:
        """Make a transfer that the product knows nothing of."""
        made = {
            "id": transfer_id, "object": "transfer", "amount": 10_000, "amount_reversed": 0,
            "currency": "usd", "created": int(at.timestamp()), "destination": ACCOUNT,
            "metadata": {}, "reversed": False, "transfer_group": None, "reversals": {"data": []},
        } | more  # fmt: skip
        self.transfers.append(made)
        return made

    def pay(self, operation: Any, **more: Any) -> dict[str, Any]:
        """Make the transfer that an operation asks for."""
        return self.transfer(
            more.pop("transfer_id", operation.provider_ref or f"tr_{operation.party_id}"),
            **{
                "amount": operation.amount_cents,
                "transfer_group": operation.payout_key,
                "metadata": {
                    "settld_tenant_id": operation.tenant_id,
                    "settld_operation_id": operation.operation_id,
                    "settld_provider_id": operation.provider_id,
                    "settld_payout_key": operation.payout_key,
                },
            }
            | more,
        )

    def reverse(self, transfer: dict[str, Any], *, amount: int, at: dt.datetime = PAID_AT) -> None:
        """Take money back."""
        transfer["amount_reversed"] += amount
        transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
        made = {
            "id": f"trr_{len(self.reversals)}", "object": "transfer_reversal", "amount": amount,
            "created": int(at.timestamp()), "transfer": transfer["id"],
        }  # fmt: skip
        transfer["reversals"]["data"].insert(0, made)
        self.reversals.append(
            {
                "id": f"txn_{made['id']}",
                "object": "balance_transaction",
                "created": made["created"],
                "source": made,
            }
        )

    # --- The client's verbs --------------------------------------------------------------------
    def transfers_page(self, *, created_from: int, starting_after: str = "") -> answers.TransferPage:
        return answers.transfer_page(self._page(self.transfers, created_from, starting_after))

    def reversals_page(self, *, created_from: int, starting_after: str = "") -> answers.ReversalPage:
        return answers.reversal_page(self._page(self.reversals, created_from, starting_after))

    def retrieve_transfer(self, transfer_id: str) -> answers.Transfer:
        return answers.transfer(next(one for one in self.transfers if one["id"] == transfer_id))

    def is_configured(self) -> bool:
        return True

    def _page(self, rows: list[dict[str, Any]], created_from: int, starting_after: str) -> dict[str, Any]:
        self.calls += 1
        if self.before_page:
            self.before_page(self)
        if self.calls == self.fails_at:
            raise ProviderInDoubt({"message": "no answer", "category": "network_error"})
        listed = sorted(
            (row for row in rows if row["created"] >= created_from),
            key=lambda row: (row["created"], row["id"]),
            reverse=True,
        )
        ids = [row["id"] for row in listed]
        if starting_after and (starting_after in self.forgets or starting_after not in ids):
            raise ProviderRejected({"message": "no such cursor", "category": "upstream_rejected"})
        begin = ids.index(starting_after) + 1 if starting_after else 0
        return {
            "object": "list",
            "data": listed[begin : begin + PAGE],
            "has_more": len(listed) > begin + PAGE,
        }


class StripeBooks(Books):
    """Books of payouts that go through Stripe."""

    def send(self, party: str, **more: Any) -> Any:
        """A payout that was submitted and confirmed, a day ago, unless told otherwise."""
        return self.pay(
            party,
            **{
                "provider": STRIPE,
                "provider_ref": f"tr_{party}",
                "counterparty_ref": f"stripe_connect:{ACCOUNT}",
                "submitted_at": PAID_AT,
            }
            | more,
        )

    def waits(self, party: str, **more: Any) -> Any:
        """A payout that nobody has sent as far as we know."""
        return self.send(party, **{"state": "initiated", "provider_ref": "", "submitted_at": None} | more)


def pull(now: dt.datetime = NOW, **more: Any) -> statement_pull.Pulled:
    return statement_pull.pull(now=now, **more)


def compare(
    *, period: str = PERIOD, persist: bool = False, now: dt.datetime = NOW, tenant_id: str = TENANT
) -> provider_report.ProviderReport:
    return provider_report.reconcile(
        tenant_id=tenant_id, period=period, provider_id=STRIPE, persist=persist, now=now
    )


def differing(report: provider_report.ProviderReport) -> dict[str, list[dict[str, Any]]]:
    """The groups that hold rows."""
    return {group: rows for group, rows in report.core["mismatches"].items() if rows}
