"""A tenant's general book in tests: entries whose shares are written out, posted by the journal itself."""

import datetime as dt
from collections.abc import Sequence

from settld.core import tenancy
from settld.core.principals import Actor
from settld.ledger.services import accounts, journal
from settld.ledger.services.journal import EntryDraft, Line, Share
from settld.ledger.states import Book

TENANT = "tenant_a"
ACTOR = Actor.system("test")
CLOSE = {"tenant_id": TENANT, "month": "2026-01", "basis": "settledAt"}


def instant(month: str, day: int = 5, hour: int = 0) -> dt.datetime:
    return dt.datetime(int(month[:4]), int(month[5:]), day, hour, tzinfo=dt.UTC)


# (account, cents, party, role), each line with one share of its own size
Short = tuple[str, int, str, str]


def post(
    entry_id: str,
    lines: Sequence[Short],
    *,
    at: dt.datetime,
    memo: str = "",
    currency: str = "USD",
    tenant_id: str = TENANT,
) -> None:
    """Post one general entry, each line attributed to one party."""
    with tenancy.tenant_scope(tenant_id):
        accounts.ensure_general(tenant_id=tenant_id, now=at)
        accounts.ensure(
            tenant_id=tenant_id, accounts=[(line[0], Book.GENERAL, False) for line in lines], now=at
        )
        drafts = [
            Line(account, cents, currency, (Share(party, role, cents),))
            for account, cents, party, role in lines
        ]
        journal.post(
            tenant_id=tenant_id,
            entries=[
                EntryDraft(
                    entry_id=entry_id, book=Book.GENERAL, at=at, memo=memo, source_type="test",
                    source_id=entry_id, lines=tuple(drafts),
                )
            ],
            now=at,
        )  # fmt: skip


def settle(agent: str, cents: int, *, at: dt.datetime, entry_id: str = "", payer: str = "c1", **more) -> None:
    """What a released run leaves in the general book."""
    name = entry_id or f"jnl_{agent}_{at:%m%d%H}_{cents}"
    post(
        name,
        [
            ("acct_customer_escrow", cents, f"pty_customer:{payer}", "customer"),
            ("acct_operator_payable", -cents, f"pty_operator:{agent}", "operator"),
        ],
        at=at, memo=f"job:run_{agent} SETTLED", **more,
    )  # fmt: skip


def fund(payer: str, cents: int, *, at: dt.datetime, entry_id: str = "", **more) -> None:
    """What a credited wallet leaves in the general book."""
    post(
        entry_id or f"jnl_fund_{payer}_{at:%m%d%H}_{cents}",
        [
            ("acct_cash", cents, "pty_platform", "platform"),
            ("acct_customer_escrow", -cents, f"pty_customer:{payer}", "customer"),
        ],
        at=at, memo="job:- FUNDED", **more,
    )  # fmt: skip
