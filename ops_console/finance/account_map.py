"""GET, POST /console/finance/account-map: what the tenant's own books call our accounts."""

from dataclasses import dataclass, replace
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from ops_console import acts, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Field, Option
from ops_console.finance import standing
from ops_console.finance.doing import back_href
from ops_console.journal.links import account_href
from settld.closing.models import FinanceAccountMap
from settld.closing.queries import month_documents
from settld.closing.services import account_maps
from settld.core import clock
from settld.core.errors import Conflict, Forbidden, Refusal
from settld.ledger.models import LedgerAccount
from settld.ledger.states import Book

METHODS: Final = ("GET", "HEAD", "POST")
ACCOUNT: Final = "account:"
GATES: Final = (
    Option("warn", "Close without a CSV, and say so"),
    Option("strict", "Do not close"),
)


class MapChanged(Conflict):
    """Somebody saved the map since this form was shown; nothing was saved."""

    code = "FINANCE_ACCOUNT_MAP_CHANGED"
    message = (
        "Somebody has saved the map since this form was shown. Nothing was saved; compare with what stands"
    )


@dataclass(frozen=True)
class Row:
    """One account with its input, and whether it is a gap."""

    account_id: str
    href: str
    field: Field
    is_gap: bool
    is_known: bool


@workspace("finance_read", methods=METHODS)
def account_map(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Show the map as a table of inputs; a blank one leaves a gap."""
    found = month_documents.account_map(tenant_id=visit.tenant_id)
    form = _form(visit, found, _back(request))
    if request.method != "POST":
        return _page(request, visit, found, acts.fresh(form))
    if not visit.may("finance_write"):
        raise Forbidden("missing_scope")
    try:
        form = acts.filled(form, request.POST.dict())
        if not form.is_complete:
            return _page(request, visit, found, form, status=422)
        sent = form
        acts.once(acts.identity(request, visit, form), visit, lambda: _save(visit, sent))
    except Refusal as refusal:
        kept = form if form.idempotency_key else acts.fresh(form)
        shown = errors.shown(refusal, request_id=visit.request_id)
        return _page(
            request, visit, found, _seeing(kept, found), refused=shown, status=min(refusal.status, 499)
        )
    messages.success(request, "The account map is saved. The next close and every CSV go by it.")
    return go(request, form.back_href)


def _back(request: HttpRequest) -> str:
    period = request.GET.get("period", "")
    return back_href(period) if clock.is_period(period) else reverse("console:finance")


def _form(visit: Visit, found: FinanceAccountMap | None, back: str) -> ActForm:
    accounts: dict[str, str] = dict(found.mapping["accounts"]) if found is not None else {}
    known = LedgerAccount.objects.filter(tenant_id=visit.tenant_id, book=Book.GENERAL)
    names = sorted({*known.values_list("account_id", flat=True), *accounts})
    return ActForm(
        action=reverse("console:finance-account-map"),
        title="Account map",
        text="Each account of the general book, and what your own books call it.",
        button="Save the map",
        back_href=back,
        tenant_id=visit.tenant_id,
        fields=(
            Field("seen", "Seen", value=found.mapping_hash if found is not None else "", max_length=64),
            Field("gate", "A gap at a close", value=standing.policy_of(found), options=GATES),
            *(Field(f"{ACCOUNT}{name}", name, value=accounts.get(name, "")) for name in names),
            Field("new_account", "Another account"),
            Field("new_external", "Its name in your books"),
        ),
    )


def _seeing(form: ActForm, found: FinanceAccountMap | None) -> ActForm:
    """Have a refused form see the map that stands, so that sending it again is a decision."""
    seen = found.mapping_hash if found is not None else ""
    fields = tuple(replace(item, value=seen) if item.name == "seen" else item for item in form.fields)
    return acts.fresh(replace(form, fields=fields))


def _save(visit: Visit, form: ActForm) -> dict[str, Any]:
    found = FinanceAccountMap.objects.select_for_update(no_key=True).filter(tenant_id=visit.tenant_id).first()
    if form.values["seen"] != (found.mapping_hash if found is not None else ""):
        raise MapChanged()
    accounts = {
        name.removeprefix(ACCOUNT): value
        for name, value in form.values.items()
        if name.startswith(ACCOUNT) and value
    }
    if form.values["new_account"]:
        accounts[form.values["new_account"]] = form.values["new_external"]
    mapping: dict[str, Any] = (
        dict(found.mapping) if found is not None else {"schemaVersion": account_maps.SCHEMA}
    )
    mapping |= {"accounts": accounts, "exportPolicy": {"gateMode": form.values["gate"]}}
    mapping_hash = account_maps.put(
        tenant_id=visit.tenant_id, mapping=mapping, actor=visit.actor, now=visit.now
    )
    return {"mappingHash": mapping_hash}


def _page(
    request: HttpRequest,
    visit: Visit,
    found: FinanceAccountMap | None,
    form: ActForm,
    *,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    own = {item.name: item for item in form.fields}
    stands: dict[str, str] = dict(found.mapping["accounts"]) if found is not None else {}
    rows = [
        Row(
            item.label, account_href(item.label), item, not item.value,
            stands.get(item.label, "") == item.value,
        )
        for item in form.fields
        if item.name.startswith(ACCOUNT)
    ]  # fmt: skip
    context = {
        "form": form,
        "rows": rows,
        "own": own,
        "stands": stands,
        "gap_count": sum(row.is_gap for row in rows),
        "has_map": found is not None,
        "refusal": refused,
        "may_write": visit.may("finance_write"),
    }
    return shell.page(
        request, visit, "ops_console/finance/account_map.html", context, key="finance", status=status
    )
