"""Writing one look for each tenant that holds the account, in a transaction of its own."""

import datetime as dt
from collections.abc import Iterable

from moneyrails.models import ConnectAccount
from moneyrails.queries import payout_facts
from moneyrails.services import connect_facts
from moneyrails.services.connect_facts import Seen
from moneyrails.services.connect_looks import Look
from settld.core import failpoints, tenancy, transactions
from settld.core.principals import Actor


def write_each(look: Look, seen: Iterable[Seen], *, source: str, actor: Actor, now: dt.datetime) -> set[str]:
    """Write a look down; gives the tenants where something newer stands already, or a row that is not ours.

    A row that is gone needs nothing and is not among them.
    """
    return {one.tenant_id for one in seen if not _write(look, one, source=source, actor=actor, now=now)}


def _write(look: Look, seen: Seen, *, source: str, actor: Actor, now: dt.datetime) -> bool:
    with tenancy.tenant_scope(seen.tenant_id):
        with transactions.atomic(durable=True):
            payout_facts.lock_controls(tenant_id=seen.tenant_id, now=now)
            rows = ConnectAccount.objects.select_for_update().filter(tenant_id=seen.tenant_id)
            row = rows.filter(account_id=look.account_id).first()
            done = row is None or connect_facts.apply(
                row, look, seen=seen, source=source, actor=actor, now=now
            )
            failpoints.hit("connect_news.before_commit")
        failpoints.hit("connect_news.after_commit")
    return done
