"""How many statements the everyday calls send: what is lost here is lost on every call."""

import json

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from settld.core import clock
from settld.stripe_gateway import signatures
from settld.stripe_gateway.services import inbox
from tests.billing import checkouts, factories, payloads
from tests.billing.checkout_provider import provider  # noqa: F401
from tests.billing.payloads import T0

FRAME = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET CONSTRAINTS", "SELECT set_config('settld.tenant_id'")


def statements(work):
    with CaptureQueriesContext(connection) as captured:
        result = work()
    return result, [q["sql"] for q in captured.captured_queries if not q["sql"].startswith(FRAME)]


def door(body):
    now = clock.now()
    payload = json.dumps(body).encode()
    header = signatures.header_for(payload=payload, secret=settings.STRIPE.webhook_secrets[0], at_seconds=int(now.timestamp())) if hasattr(signatures, "header_for") else None
    if header is None:
        import hashlib, hmac
        t = str(int(now.timestamp()))
        header = f"t={t},v1=" + hmac.new(settings.STRIPE.webhook_secrets[0].encode(), t.encode() + b"." + payload, hashlib.sha256).hexdigest()
    return inbox.receive(payload=payload, signature=header, trust=inbox.Trust(secrets=settings.STRIPE.webhook_secrets, is_live=False), now=now)


def test_probe(db, provider):
    import re
    entity = factories.workspace_entity()
    factories.plan()
    def show(name, work):
        r, s = statements(work)
        print(f"\n=== {name}: {len(s)} ({getattr(r,'value',r)!s:.60})")
        for q in s:
            q = re.sub(r'"(\w+)"\.', '', q)
            m = re.match(r"(SELECT) .* FROM (\S+)(.*)", q, re.S)
            if m and len(q) > 200:
                print("   ", "SELECT", m[2], m[3][:170])
            else:
                print("   ", q[:150])
    show("checkout", lambda: checkouts.start(entity))
    row = checkouts.request(entity)
    labels = payloads.labels(entity, row.operation_key)
    sub = payloads.subscription("sub_1", metadata=labels)
    ev = payloads.event
    first = ev("customer.subscription.created", sub, created=T0)
    show("subscription.created", lambda: door(first))
    show("same, a duplicate", lambda: door(first))
    show("session.completed", lambda: door(ev("checkout.session.completed", payloads.session("cs_1", metadata=labels), created=T0 + 1)))
    show("session.async_payment_succeeded", lambda: door(ev("checkout.session.async_payment_succeeded", payloads.session("cs_1", metadata=labels), created=T0 + 1)))
    show("invoice.paid", lambda: door(ev("invoice.paid", payloads.invoice(metadata=labels), created=T0 + 2)))
    show("invoice.paid again", lambda: door(ev("invoice.paid", payloads.invoice(metadata=labels), created=T0 + 3)))
    show("invoice_payment.paid", lambda: door(ev("invoice_payment.paid", payloads.invoice_payment("pi_1"), created=T0 + 2)))
    show("subscription.updated", lambda: door(ev("customer.subscription.updated", sub, created=T0 + 5)))
    show("subscription.updated changed", lambda: door(ev("customer.subscription.updated", sub | {"status": "past_due"}, created=T0 + 6)))
    show("stale", lambda: door(ev("customer.subscription.updated", sub, created=T0 + 4)))
    show("customer.updated", lambda: door(ev("customer.updated", payloads.customer(), created=T0 + 7)))
    show("pm.attached", lambda: door(ev("payment_method.attached", payloads.payment_method(), created=T0 + 7)))
    show("subscription.deleted", lambda: door(ev("customer.subscription.deleted", sub | {"status": "canceled"}, created=T0 + 8)))
    show("checkout 2", lambda: checkouts.start(entity, "key-2"))
    show("checkout 2 replay", lambda: checkouts.start(entity, "key-2"))
    row2 = checkouts.requests(entity)[-1]
    labels2 = payloads.labels(entity, row2.operation_key)
    show("session.completed first", lambda: door(ev("checkout.session.completed", payloads.session("cs_2", subscription="sub_2", metadata=labels2), created=T0 + 10)))
    sub2 = payloads.subscription("sub_2", metadata=labels2, items=[payloads.item("si_2")])
    show("subscription.created second", lambda: door(ev("customer.subscription.created", sub2, created=T0 + 10)))
