"""Routes of the Stripe Connect accounts that payouts may go to (spec 2.5)."""

from typing import Any

from django.http import HttpResponse

from moneyrails.api import replies
from moneyrails.queries import connect
from moneyrails.rails import providers
from moneyrails.services import connect_accounts, connect_config, connect_sync, controls
from moneyrails.services.connect_accounts import MOST_ID_LETTERS, AccountInvalid, Wish
from moneyrails.services.connect_sync import MOST_TARGETS, Synced, SyncInvalid
from moneyrails.services.controls_payload import ACCOUNT_ID
from moneyrails.services.replies import Replayed
from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.idempotency.http import idempotent

MOST_NAMED = 20_000  # repeats count once, so more may be sent than are asked about

ACCOUNT = openapi.obj(
    {
        "schemaVersion": openapi.TEXT,
        "accountId": openapi.TEXT,
        "partyId": openapi.maybe(openapi.TEXT),
        "partyRole": openapi.maybe(openapi.TEXT),
        "payoutsEnabled": openapi.BOOL,
        "transfersEnabled": openapi.BOOL,
        "status": openapi.one_of("active", "disabled"),
        "kybStatus": openapi.maybe(
            openapi.one_of("pending", "restricted", "verified", "rejected", "unknown")
        ),
        "kybCurrentlyDue": openapi.many(openapi.TEXT),
        "kybPendingVerification": openapi.many(openapi.TEXT),
        "kybDisabledReason": openapi.maybe(openapi.TEXT),
        "kybLastSyncAt": openapi.maybe(openapi.INSTANT),
        "kybLastSyncError": openapi.maybe(openapi.OBJECT),
        "updatedAt": openapi.maybe(openapi.INSTANT),
    }
)
CONNECT = openapi.obj(
    {
        "schemaVersion": openapi.TEXT,
        "enabled": openapi.BOOL,
        "defaultAccountId": openapi.maybe(openapi.TEXT),
        "accounts": openapi.many(ACCOUNT),
        "updatedAt": openapi.maybe(openapi.INSTANT),
    }
)
_COUNTS = (
    "totalAccounts", "activeCount", "payoutsEnabledCount", "verifiedCount", "pendingCount", "rejectedCount",
)  # fmt: skip
RESULT = openapi.obj(
    {
        "accountId": openapi.TEXT,
        "ok": openapi.BOOL,
        "payoutsEnabled": openapi.BOOL,
        "transfersEnabled": openapi.BOOL,
        "kybStatus": openapi.maybe(openapi.TEXT),
        "kybCurrentlyDueCount": openapi.INT,
        "kybPendingVerificationCount": openapi.INT,
        "kybDisabledReason": openapi.maybe(openapi.TEXT),
        "stale": openapi.BOOL,
        "code": openapi.TEXT,
        "error": openapi.ANY,
    },
    optional=(
        "payoutsEnabled", "transfersEnabled", "kybStatus", "kybCurrentlyDueCount",
        "kybPendingVerificationCount", "kybDisabledReason", "stale", "code", "error",
    ),
)  # fmt: skip


class ConnectAccounts(OpsView):
    """GET /ops/finance/money-rails/stripe-connect/accounts"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Read the Stripe Connect configuration",
        answers={
            200: openapi.obj(
                {
                    "tenantId": openapi.TEXT,
                    "connect": CONNECT,
                    "summary": openapi.obj(
                        dict.fromkeys(_COUNTS, openapi.INT)
                        | {"defaultAccountId": openapi.maybe(openapi.TEXT)}
                    ),
                }
            )
        },
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        rows = connect.accounts(tenant_id=request.tenant_id)
        shown = connect_config.as_json(controls.get(tenant_id=request.tenant_id), rows)
        counts = {
            "totalAccounts": len(rows),
            "activeCount": sum(row.status == "active" for row in rows),
            "payoutsEnabledCount": sum(row.status == "active" and row.payouts_enabled for row in rows),
            "verifiedCount": sum(row.kyb_status == "verified" for row in rows),
            "pendingCount": sum(row.kyb_status == "pending" for row in rows),
            "rejectedCount": sum(row.kyb_status == "rejected" for row in rows),
            "defaultAccountId": shown["defaultAccountId"],
        }
        return Json({"tenantId": request.tenant_id, "connect": shown, "summary": counts})


class ConnectAccount(OpsView):
    """PUT, DELETE /ops/finance/money-rails/stripe-connect/accounts/{accountId}"""

    scopes = {"PUT": ("finance_write",), "DELETE": ("finance_write",)}

    @openapi.describe(
        "Configure one connected account",
        description="Absent members keep what is there. What the provider said of the account stays.",
        body=openapi.obj(
            {
                "partyId": openapi.maybe(openapi.TEXT),
                "partyRole": openapi.maybe(openapi.TEXT),
                "status": openapi.one_of("active", "disabled"),
                "payoutsEnabled": openapi.BOOL,
                "transfersEnabled": openapi.BOOL,
                "setDefault": openapi.BOOL,
                "enableConnect": openapi.BOOL,
            },
            optional=(
                "partyId", "partyRole", "status", "payoutsEnabled", "transfersEnabled", "setDefault",
                "enableConnect",
            ),
        ),
        answers={200: openapi.obj({"tenantId": openapi.TEXT, "account": ACCOUNT, "connect": CONNECT})},
        refusals=(409,),
        idempotent=True,
    )  # fmt: skip
    def put(self, request: OpsRequest, account_id: str) -> HttpResponse:
        connect_accounts.require_account_id(account_id)
        read_wish(Body(request.body_json, message=AccountInvalid.message))
        response: HttpResponse = self._put(request, account_id=account_id)
        failpoints.hit("connect_upsert.after_commit")
        return response

    @idempotent
    def _put(self, request: OpsRequest, account_id: str) -> HttpResponse:
        done = connect_accounts.upsert(
            tenant_id=request.tenant_id,
            account_id=account_id,
            wish=read_wish(Body(request.body_json, message=AccountInvalid.message)),
            actor=request.actor,
            now=request.received_at,
        )
        return Json({"tenantId": request.tenant_id, "account": done.account, "connect": done.connect})

    @openapi.describe(
        "Forget one connected account",
        answers={
            200: openapi.obj(
                {
                    "tenantId": openapi.TEXT,
                    "deleted": openapi.BOOL,
                    "accountId": openapi.TEXT,
                    "connect": CONNECT,
                }
            )
        },
        is_write=True,
        idempotent=True,
    )
    def delete(self, request: OpsRequest, account_id: str) -> HttpResponse:
        connect_accounts.require_account_id(account_id)
        response: HttpResponse = self._delete(request, account_id=account_id)
        failpoints.hit("connect_delete.after_commit")
        return response

    @idempotent
    def _delete(self, request: OpsRequest, account_id: str) -> HttpResponse:
        done = connect_accounts.remove(
            tenant_id=request.tenant_id, account_id=account_id, actor=request.actor, now=request.received_at
        )
        return Json(
            {
                "tenantId": request.tenant_id,
                "deleted": True,
                "accountId": account_id,
                "connect": done.connect,
            }
        )


def read_wish(body: Body) -> Wish:
    """Read what to change; a switch is true or false, and null is neither."""
    status = None
    if body.has("status"):
        status = body.choice("status", ("active", "disabled"))
        if status is None:
            raise body.fault("status must be active or disabled")
    return Wish(
        party_id=(body.text("partyId", most=200) or "") if body.has("partyId") else None,
        party_role=(body.text("partyRole", most=40) or "") if body.has("partyRole") else None,
        status=status,
        payouts_enabled=_switch(body, "payoutsEnabled"),
        transfers_enabled=_switch(body, "transfersEnabled"),
        set_default=_switch(body, "setDefault"),
        enable_connect=_switch(body, "enableConnect") is True,
    )


def _switch(body: Body, key: str) -> bool | None:
    if not body.has(key):
        return None
    value = body.boolean(key)
    if value is None:
        raise body.fault(f"{key} must be a boolean")
    return value


class SyncConnectAccounts(OpsView):
    """POST /ops/finance/money-rails/stripe-connect/accounts/sync"""

    scopes = {"POST": ("finance_write",)}

    @openapi.describe(
        "Bring connected accounts up to date with Stripe",
        description="A `stale` result was overtaken by a newer sync, and shows the newer facts.",
        body=openapi.obj(
            {
                "providerId": openapi.maybe(openapi.TEXT),
                "accountIds": openapi.maybe(openapi.many(openapi.TEXT)),
                "dryRun": openapi.BOOL,
            },
            optional=("providerId", "accountIds", "dryRun"),
        ),
        parameters=[openapi.query("providerId")],
        answers={
            200: openapi.obj(
                {
                    "tenantId": openapi.TEXT,
                    "providerId": openapi.TEXT,
                    "dryRun": openapi.BOOL,
                    "summary": openapi.obj(
                        {
                            "requestedCount": openapi.INT,
                            "syncedCount": openapi.INT,
                            "failedCount": openapi.INT,
                        }
                    ),
                    "results": openapi.many(RESULT),
                    "connect": CONNECT,
                }
            )
        },
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        body = Body(request.body_json, message=SyncInvalid.message)
        account_ids = read_targets(body)
        is_dry_run = body.boolean("dryRun", default=False) is True
        named = Body(request.GET.dict(), message=SyncInvalid.message)
        provider_id = (
            body.text("providerId", most=200) or named.text("providerId", most=200) or providers.default_id()
        )
        memory: replies.CallerMemory[Synced] = replies.CallerMemory(
            request, lambda done: answer(request.tenant_id, done), query={"providerId": provider_id}
        )
        try:
            with replies.lock_timeout_means_in_progress(memory):
                done = connect_sync.sync(
                    tenant_id=request.tenant_id,
                    provider_id=provider_id,
                    account_ids=account_ids,
                    is_dry_run=is_dry_run,
                    actor=request.actor,
                    now=request.received_at,
                    memory=memory,
                )
        except Replayed as replayed:
            return replies.replay(replayed)
        return answer(request.tenant_id, done)


def read_targets(body: Body) -> list[str]:
    """Read the accounts to sync, each once; an empty list means all."""
    wanted = body.texts("accountIds", most=MOST_NAMED) or []
    for account_id in wanted:
        if len(account_id) > MOST_ID_LETTERS or not ACCOUNT_ID.fullmatch(account_id):
            raise body.fault("accountIds must look like acct_...")
    if len(wanted) > MOST_TARGETS:
        raise body.fault(f"at most {MOST_TARGETS} accounts can be synced at once")
    return wanted


def answer(tenant_id: str, done: Synced) -> Json:
    """Shape what a sync did."""
    shown: dict[str, Any] = {
        "tenantId": tenant_id,
        "providerId": done.provider_id,
        "dryRun": done.is_dry_run,
        "summary": done.summary,
        "results": done.results,
        "connect": done.connect,
    }
    return Json(shown)
