"""A month's books, posted and closed by the product's own verbs, and ways to spoil what they stored."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from reconciliation.services import finance_report
from reconciliation.services.finance_report import FinanceReport
from settld.closing.models import MonthDocument, PartyStatement
from settld.closing.services import close, months
from settld.core import canonical_json, tenancy, transactions
from settld.core.hashing import artifact_hash
from settld.core.principals import Actor
from settld.ledger import attribution
from settld.ledger.services import accounts, journal
from settld.ledger.services.journal import EntryDraft, Line, Share
from settld.ledger.states import Book
from settld.tenants.models import Tenant

TENANT = "tenant_a"
PERIOD = "2026-02"
AT = dt.datetime(2026, 2, 10, 9, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)
ADA = Actor("person:ada")


def known(tenant_id: str) -> None:
    """Make the tenant."""
    Tenant.objects.get_or_create(tenant_id=tenant_id, defaults={"created_at": NOW, "updated_at": NOW})


def post(
    entry_id: str, cents: int, *, payee: str = "p1", at: dt.datetime = AT, tenant_id: str = TENANT
) -> None:
    """Post what a release posts to the general book: the customer's money becomes the payee's."""
    parties = {
        "acct_customer_escrow": attribution.party_of("acct_customer_escrow", payer_agent_id="c1"),
        "acct_operator_payable": attribution.party_of("acct_operator_payable", payee_agent_id=payee),
    }
    lines = tuple(
        Line(account, amount, "USD", (Share(*parties[account], amount),))
        for account, amount in (("acct_customer_escrow", cents), ("acct_operator_payable", -cents))
    )
    draft = EntryDraft(
        entry_id=entry_id, book=Book.GENERAL, at=at, memo="job:run_1 SETTLED", source_type="test",
        source_id=entry_id, lines=lines,
    )  # fmt: skip
    accounts.ensure_general(tenant_id=tenant_id, now=at)
    with transactions.joined():
        journal.post(tenant_id=tenant_id, entries=[draft], now=at)


def close_month(*, period: str = PERIOD, tenant_id: str = TENANT, now: dt.datetime = NOW) -> None:
    """Ask for the close and carry it out."""
    with transactions.atomic():
        months.request_close(tenant_id=tenant_id, month=period, basis="settledAt", actor=ADA, now=now)
    closed = close.close_month(tenant_id=tenant_id, month=period, basis="settledAt", now=now)
    assert closed.is_new


def reopen(*, period: str = PERIOD, tenant_id: str = TENANT, now: dt.datetime = NOW) -> None:
    """Open the month again, as a person does."""
    with transactions.atomic():
        months.reopen(
            tenant_id=tenant_id, month=period, basis="settledAt", reason="a late refund", actor=ADA, now=now
        )


def closed_books(*, tenant_id: str = TENANT, period: str = PERIOD) -> None:
    """Make a tenant with a closed month: two payees and the customer whose money it was."""
    known(tenant_id)
    year, month = map(int, period.split("-"))
    with tenancy.tenant_scope(tenant_id):
        for number, (payee, cents) in enumerate((("p1", 700), ("p2", 300))):
            at = dt.datetime(year, month, 10 + number, 9, tzinfo=dt.UTC)
            post(f"jnl_{period}_{payee}", cents, payee=payee, at=at, tenant_id=tenant_id)
        close_month(period=period, tenant_id=tenant_id)


def reconcile(*, period: str = PERIOD, persist: bool = False, now: dt.datetime = NOW) -> FinanceReport:
    """Compare, for the tenant of the tests."""
    return finance_report.reconcile(tenant_id=TENANT, period=period, persist=persist, now=now)


def found(report: FinanceReport) -> list[tuple[str, str]]:
    """The codes and severities of a report, in its order."""
    return [(row["mismatchCode"], row["severity"]) for row in report.core.get("mismatches", [])]


# --- Spoiling what is stored ------------------------------------------------------------------------
@contextmanager
def as_owner() -> Iterator[Any]:
    """Write as the tables' owner with every trigger off, as nobody but an intruder would; commits."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield cursor
        finally:
            cursor.execute("RESET session_replication_role")


def rewrite(artifact_id: str, change: Callable[[dict[str, Any]], object], *, resealed: bool) -> None:
    """Write over a stored document; `resealed` also gives it the hash that fits its new content."""
    with as_owner() as owner:
        owner.execute(
            "SELECT body FROM artifact WHERE tenant_id = %s AND artifact_id = %s", [TENANT, artifact_id]
        )
        content = json.loads(owner.fetchone()[0])
        change(content)
        if resealed:
            content["artifactHash"] = artifact_hash(content)
        owner.execute(
            "UPDATE artifact SET body = %s WHERE tenant_id = %s AND artifact_id = %s",
            [canonical_json.dumps(content).decode(), TENANT, artifact_id],
        )


def batch_id() -> str:
    """Name the current GL batch."""
    return MonthDocument.objects.get(tenant_id=TENANT, kind="gl_batch", superseded_at=None).artifact_id


def statement_id(party: str = "pty_operator:p1") -> str:
    """Name a party's current statement."""
    return PartyStatement.objects.get(tenant_id=TENANT, party_id=party, superseded_at=None).artifact_id
