"""Bare views: write rows in one transaction, by SQL or by the ORM, and read one row back."""

import json
import random
import uuid

from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from tests.bench.floor.models import Row
from tests.bench.floor.table import INSERT, UPDATE


def insert_by_sql(request: HttpRequest, count: int) -> JsonResponse:
    """The quickest that a Django view can insert without tricks."""
    body = json.loads(request.body)
    document = json.dumps(body)
    with transaction.atomic(), connection.cursor() as cursor:
        for number in range(count):
            row_id = uuid.uuid4()
            cursor.execute(INSERT, [row_id, body["tenant"], f"{row_id}:{number}", "new", 100, document])
    return JsonResponse({"ok": True, "row": body}, status=201)


def insert_by_orm(request: HttpRequest, count: int) -> JsonResponse:
    """The same, as one would write it at first."""
    body = json.loads(request.body)
    with transaction.atomic():
        for number in range(count):
            row_id = uuid.uuid4()
            Row.objects.create(
                id=row_id, tenant_id=body["tenant"], key=f"{row_id}:{number}", state="new", amount_cents=100,
                document=body, created_at=timezone.now(),
            )  # fmt: skip
    return JsonResponse({"ok": True, "row": body}, status=201)


def write(request: HttpRequest, inserts: int, updates: int) -> JsonResponse:
    """Insert rows and change others in one transaction, by SQL; with neither, only answer."""
    if not inserts and not updates:
        return JsonResponse({"ok": True})
    document = json.dumps({"note": "x" * 400})
    with transaction.atomic(), connection.cursor() as cursor:
        for number in range(inserts):
            row_id = uuid.uuid4()
            cursor.execute(INSERT, [row_id, "floor", f"{row_id}:{number}", "new", 100, document])
        for _ in range(updates):
            cursor.execute(UPDATE, [f"row{random.randrange(10_000)}"])
    return JsonResponse({"ok": True})


def read(request: HttpRequest, key: str) -> JsonResponse:
    """Read one row by its unique key."""
    row = Row.objects.get(tenant_id="floor", key=key)
    return JsonResponse(
        {
            "id": str(row.id), "tenantId": row.tenant_id, "key": row.key, "state": row.state,
            "amountCents": row.amount_cents, "document": row.document,
            "createdAt": row.created_at.isoformat(),
        }
    )  # fmt: skip
