"""Fill a tenant with closed statements for measurements from outside; refuses in production."""

import datetime as dt
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from settld.closing.identifiers import CURRENCY, ROLE, party_id_of
from settld.closing.services import bulk, close, months
from settld.closing.services.statements import StatementContent
from settld.core import clock, money, tenancy
from settld.core.errors import Refusal
from settld.core.principals import Actor
from settld.tenants.services import tenants

ACTOR = Actor.system("bench_seed")
MOST_STATEMENTS = 5_000_000


@dataclass(frozen=True)
class Order:
    """What to seed: which parties in which periods, each with the same content."""

    tenant_id: str
    parties_by_period: dict[str, list[str]]
    content: StatementContent


class Command(BaseCommand):
    """manage.py bench_seed; stdin: {tenantId, period, prefix, count, payoutCents, partyRole, items?}."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.IS_PRODUCTION:
            raise CommandError("bench_seed is for measurements and refuses to run in production")
        try:
            order = read(json.load(sys.stdin))
            seeded = seed(order, now=clock.now())
            tell_the_planner()
        except (ValueError, Refusal) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps({"ok": True, "tenantId": order.tenant_id, "seeded": seeded}))


def seed(order: Order, *, now: dt.datetime) -> dict[str, int]:
    """Make the tenant, close each period, leave its statements CLOSED; gives how many are new by period."""
    tenants.ensure(tenant_id=order.tenant_id, source="bench_seed", now=now)
    seeded = {}
    with tenancy.tenant_scope(order.tenant_id):
        for period, party_ids in sorted(order.parties_by_period.items()):
            seeded[period] = bulk.add_missing(
                tenant_id=order.tenant_id, period=period, party_ids=party_ids, content=order.content,
                actor=ACTOR, now=now,
            )  # fmt: skip
            basis = order.content.basis
            months.request_close(tenant_id=order.tenant_id, month=period, basis=basis, actor=ACTOR, now=now)
            close.close_month(tenant_id=order.tenant_id, month=period, basis=basis, now=clock.now())
    return seeded


def tell_the_planner() -> None:
    """Have the tables' statistics taken now: the server would get to it only within a minute."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE party_statement, artifact, month_close")


def read(given: Any) -> Order:
    """Read the order; ValueError says what is wrong with it."""
    if not isinstance(given, dict):
        raise ValueError("stdin must hold a JSON object")
    payout_cents = given.get("payoutCents", 0)
    if not money.is_minor(payout_cents):
        raise ValueError("payoutCents must be an integer")
    party_role = given.get("partyRole", "operator")
    if not isinstance(party_role, str) or not ROLE.fullmatch(party_role):
        raise ValueError("partyRole must be a word such as operator")
    currency = given.get("currency", "USD")
    if not isinstance(currency, str) or not CURRENCY.fullmatch(currency):
        raise ValueError("currency must be three capital letters")
    return Order(
        tenant_id=_text(given, "tenantId"),
        parties_by_period=_parties(given),
        content=StatementContent(party_role=party_role, payout_cents=payout_cents, currency=currency),
    )


def _parties(given: dict[str, Any]) -> dict[str, list[str]]:
    parties: dict[str, list[str]] = defaultdict(list)
    items = given.get("items")
    if items is not None:
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError("items must be an array of {partyId, period}")
        for item in items:
            parties[_period(item)].append(party_id_of(_text(item, "partyId")))
        return parties
    count = given.get("count")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST_STATEMENTS:
        raise ValueError(f"count must be an integer from 0 to {MOST_STATEMENTS}")
    prefix = party_id_of(_text(given, "prefix"))
    parties[_period(given)].extend(f"{prefix}{number}" for number in range(count))
    return parties


def _text(given: dict[str, Any], key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} must be a non-empty text")
    return value.strip()


def _period(given: dict[str, Any]) -> str:
    period = _text(given, "period")
    if not clock.is_period(period):
        raise ValueError("period must match YYYY-MM")
    return period
