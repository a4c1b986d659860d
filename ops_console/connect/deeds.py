"""Carrying out the acts, by the verbs that the API calls; each form has its effect once."""

import json
from typing import Any

from django.http import HttpRequest

from moneyrails.models import ConnectAccount
from moneyrails.services import connect_accounts, connect_sync
from moneyrails.services.connect_accounts import Wish
from moneyrails.services.connect_sync import Synced
from moneyrails.services.replies import Replayed
from ops_console import acts, words
from ops_console.access import Visit
from ops_console.acts import ActForm, Done


def mapping(request: HttpRequest, visit: Visit, row: ConnectAccount, form: ActForm) -> tuple[Done, str]:
    """Map the account to a party, or to nobody."""
    party_id = form.values["party_id"]
    wish = Wish(party_id=party_id, party_role=form.values["party_role"])
    done = _upsert(request, visit, row.account_id, form, wish)
    return done, f"Mapped to {party_id}." if party_id else "Mapped to nobody."


def set_default(request: HttpRequest, visit: Visit, row: ConnectAccount, form: ActForm) -> tuple[Done, str]:
    """Make it the default."""
    return _upsert(request, visit, row.account_id, form, Wish(set_default=True)), "It is the default now."


def clear_default(request: HttpRequest, visit: Visit, row: ConnectAccount, form: ActForm) -> tuple[Done, str]:
    """Take it back that it is the default."""
    return _upsert(request, visit, row.account_id, form, Wish(set_default=False)), "The default is cleared."


def disable(request: HttpRequest, visit: Visit, row: ConnectAccount, form: ActForm) -> tuple[Done, str]:
    """Stop payouts to it."""
    return _upsert(request, visit, row.account_id, form, Wish(status="disabled")), "Disabled."


def enable(request: HttpRequest, visit: Visit, row: ConnectAccount, form: ActForm) -> tuple[Done, str]:
    """Let payouts go to it again."""
    return _upsert(request, visit, row.account_id, form, Wish(status="active")), "Enabled."


def remove(request: HttpRequest, visit: Visit, row: ConnectAccount, form: ActForm) -> tuple[Done, str]:
    """Forget the account."""

    def verb() -> dict[str, Any]:
        connect_accounts.remove(
            tenant_id=visit.tenant_id, account_id=row.account_id, actor=visit.actor, now=visit.now
        )
        return {"accountId": row.account_id, "deleted": True}

    return acts.once(acts.identity(request, visit, form), visit, verb), f"{row.account_id} is removed."


def sync_one(request: HttpRequest, visit: Visit, row: ConnectAccount, form: ActForm) -> tuple[Done, str]:
    """Look at the account."""
    done = _sync(request, visit, form, [row.account_id])
    failed = next((result for result in done.answer["results"] if not result["ok"]), None)
    if failed is None:
        return done, "Synced with Stripe."
    error = failed["error"]
    problem = error["message"] if isinstance(error, dict) else error
    return done, f"The look failed, so nothing was changed: {problem}"


def sync_all(request: HttpRequest, visit: Visit, form: ActForm) -> tuple[Done, str]:
    """Look at every account."""
    done = _sync(request, visit, form, [])
    synced = done.answer["syncedCount"]
    text = f"{words.count(synced, 'account')} synced"
    failed = done.answer["failedCount"]
    return done, f"{text}, {failed:,} failed; their rows say why." if failed else f"{text}."


def add(request: HttpRequest, visit: Visit, form: ActForm) -> tuple[Done, str]:
    """Configure a new account."""
    account_id = form.values["account_id"]
    connect_accounts.require_account_id(account_id)
    wish = Wish(
        party_id=form.values["party_id"] or None,
        party_role=form.values["party_role"] or None,
        set_default=True if form.values["set_default"] == "yes" else None,
        enable_connect=form.values["enable_connect"] == "yes",
    )
    return _upsert(request, visit, account_id, form, wish), f"{account_id} is configured."


def _upsert(request: HttpRequest, visit: Visit, account_id: str, form: ActForm, wish: Wish) -> Done:
    def verb() -> dict[str, Any]:
        done = connect_accounts.upsert(
            tenant_id=visit.tenant_id, account_id=account_id, wish=wish, actor=visit.actor, now=visit.now
        )
        return {"account": done.account}

    return acts.once(acts.identity(request, visit, form), visit, verb)


def _sync(request: HttpRequest, visit: Visit, form: ActForm, account_ids: list[str]) -> Done:
    memory = acts.FormMemory(acts.identity(request, visit, form), visit, _answer)
    try:
        result = connect_sync.sync(
            tenant_id=visit.tenant_id,
            provider_id=form.values["provider_id"],
            account_ids=account_ids,
            is_dry_run=False,
            actor=visit.actor,
            now=visit.now,
            memory=memory,
        )
    except Replayed as replayed:
        return Done(json.loads(replayed.reply.body), is_replay=True)
    return Done(_answer(result), is_replay=False)


def _answer(result: Synced) -> dict[str, Any]:
    return result.summary | {"results": result.results}
