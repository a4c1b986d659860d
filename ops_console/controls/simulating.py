"""GET /console/controls/simulate: what would become of a payout now; the address is the question."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from moneyrails.services import simulation
from moneyrails.services.simulation import Asked
from ops_console import errors, shell
from ops_console.access import Visit, workspace
from ops_console.acts import Field, Option
from ops_console.controls import wording
from ops_console.controls.editing import cents_of
from ops_console.errors import Fact
from ops_console.payouts.detail import GATE_NAMES
from settld.core import clock, money
from settld.core.errors import Refusal

CURRENCY: Final = "USD"
HEADLINES: Final = {
    "enqueued": ("good", "It would be enqueued"),
    "offset": ("info", "Nothing would leave: all of it would repay the party's debt"),
    "refused": ("bad", "It would be refused"),
}
MARKS: Final = {"passed": "pass", "refused": "stop", "not_asked": "quiet"}
STATEMENTS: Final = {
    "not_named": "No period was named, so no holdback is known.",
    "not_found": "The party has no statement for this period: enqueue would answer 404.",
    "ambiguous": "Several statements of this period are payable: role or currency would have to say which.",
    "month_not_closed": "The month is not closed, so nothing of it can be enqueued yet.",
    "statement_not_closed": "The statement is not closed, so it cannot be enqueued yet.",
    "already_paid": "This period has a payout already: enqueue would answer with it, or refuse another.",
    "nothing_due": "The statement leaves nothing to pay.",
    "payable": "The statement is closed and can be paid.",
}
OBSTACLES: Final = {
    "disabled": "it is disabled",
    "payouts_off": "its payouts are off",
    "transfers_off": "its transfers are off",
    "kyb_rejected": "its verification was rejected",
    "sync_too_old": "its last look at the provider is too old",
}


@dataclass(frozen=True)
class GateRow:
    """One gate: its verdict and why."""

    title: str
    mark: str
    word: str
    text: str


@dataclass(frozen=True)
class Result:
    """The answer, ready to print."""

    tone: str
    title: str
    text: str
    gates: list[GateRow]
    facts: list[Fact] = field(default_factory=list)


def empty_form(
    values: Mapping[str, str] | None = None, errors_of: Mapping[str, str] | None = None
) -> list[Field]:
    """Give the inputs of the question."""
    given, wrong = values or {}, errors_of or {}
    rails = settings.MONEY_RAILS
    providers = tuple(
        Option(row.provider_id, f"{row.provider_id} ({row.mode})") for row in rails.providers.values()
    )
    return [
        Field("party", "Party", given.get("party", ""), 200, True, error=wrong.get("party", "")),
        Field("amount", "Amount, USD", given.get("amount", ""), 30, True, error=wrong.get("amount", "")),
        Field("provider", "Provider", given.get("provider") or rails.default_provider_id, 200,
              options=providers),
        Field("period", "Period", given.get("period", ""), 7, hint="YYYY-MM, for the holdback",
              error=wrong.get("period", "")),
        Field("destination", "Destination", given.get("destination", ""), 500, hint="Empty: the party's own"),
    ]  # fmt: skip


@workspace("finance_read")
def simulate(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Answer the question in the address; nothing is written."""
    names = ("party", "amount", "provider", "period", "destination")
    given = {name: request.GET.get(name, "").replace("\x00", "").strip()[:501] for name in names}
    is_asked = any(given[name] for name in names if name != "provider")
    wrong = _faults(given) if is_asked else {}
    context: dict[str, Any] = {"form": empty_form(given, wrong), "result": None, "refusal": None}
    status = 422 if wrong else 200
    if is_asked and not wrong:
        try:
            context["result"] = _result(visit, given)
        except Refusal as refusal:
            context["refusal"] = errors.shown(refusal, request_id=visit.request_id)
            status = refusal.status
    if request.headers.get("HX-Target") == "simulation":
        return render(request, "ops_console/controls/_simulation.html", context, status=status)
    return shell.page(
        request, visit, "ops_console/controls/simulate.html", context, key="controls", status=status
    )


def _faults(given: Mapping[str, str]) -> dict[str, str]:
    wrong = {}
    if not given["party"] or len(given["party"]) > 200:
        wrong["party"] = "Party is needed." if not given["party"] else "At most 200 characters."
    if not cents_of(given["amount"]):
        wrong["amount"] = "Write an amount above zero, as 1,234.56."
    if given["period"] and not clock.is_period(given["period"]):
        wrong["period"] = "Write a month as YYYY-MM."
    return wrong


def _result(visit: Visit, given: Mapping[str, str]) -> Result:
    asked = Asked(
        tenant_id=visit.tenant_id,
        party_id=given["party"],
        amount_cents=cents_of(given["amount"]) or 0,
        provider_id=given["provider"],
        period=given["period"],
        counterparty_ref=given["destination"],
    )
    answer = simulation.as_json(asked, simulation.simulate(asked, now=visit.now))
    tone, title = HEADLINES[answer["outcome"]]
    refused = [gate for gate in answer["gates"] if gate["verdict"] == "refused"]
    text = f"{money.show(asked.amount_cents, CURRENCY)} to {asked.party_id} over {answer['providerId']}."
    if refused:
        first, more = refused[0], len(refused) - 1
        text += f" First by gate {first['gate']}, {answer['code']}"
        text += f"; {more} more would refuse it too." if more else "."
    return Result(tone, title, text, [_gate(gate) for gate in answer["gates"]], _facts(answer))


def _gate(gate: dict[str, Any]) -> GateRow:
    title = f"{gate['gate']}. {GATE_NAMES.get(gate['name'], gate['name'])}"
    verdict = gate["verdict"]
    if verdict == "refused":
        text = ", ".join([gate["code"], *_told(gate.get("details") or {})])
        return GateRow(title, MARKS[verdict], "refuses", text)
    if verdict == "not_asked":
        return GateRow(title, MARKS[verdict], "not asked", "Not asked: nothing would leave.")
    told = {key: value for key, value in gate.items() if key not in ("gate", "name", "verdict")}
    return GateRow(title, MARKS[verdict], "passes", ", ".join(_told(told)))


def _told(details: Mapping[str, Any]) -> list[str]:
    parts = []
    for key, value in details.items():
        if value is None or value is False or key in ("providerId", "partyId"):
            continue
        is_amount = key.endswith("Cents") and isinstance(value, int)
        shown = money.show(value, CURRENCY) if is_amount else errors.plain(value)
        parts.append(f"{wording.label(key.removesuffix('Cents')).lower()}: {shown}")
    return parts


def _facts(answer: dict[str, Any]) -> list[Fact]:
    room, effect, destination = answer["headroom"], answer["chargeback"], answer["destination"]
    today, most = room["today"], room["largestPayoutNowCents"]
    return [
        Fact("Would leave", _money(effect["payoutAmountNetCents"])),
        Fact("Repays debt", _repaid(effect)),
        Fact("Room in one payout", _room(room["onePayout"]["headroomCents"], "no cap")),
        Fact(
            "Room left today",
            "no cap" if today["limitCents"] is None
            else f"{_money(today['headroomCents'])} of {_money(today['limitCents'])},"
            f" {_money(today['exposureCents'])} used",
        ),
        Fact("Largest that could go now", _room(most, "no cap")),
        Fact("Destination", _where(destination)),
        Fact("Statement", STATEMENTS[answer["statement"]["status"]]),
    ]  # fmt: skip


def _repaid(effect: dict[str, Any]) -> str:
    if not effect["policyEnabled"]:
        return "nothing, the chargeback policy is off"
    return f"{_money(effect['recoveryAppliedCents'])} of {_money(effect['outstandingBeforeCents'])}"


def _where(destination: dict[str, Any]) -> str:
    account, obstacles = destination["accountId"], destination["obstacles"]
    if destination["connectRequired"]:
        if account is None:
            return "none: the party has no Connect account, and there is no default"
        if obstacles:
            why = ", ".join(OBSTACLES.get(name, name) for name in obstacles)
            return f"none: {account} is not eligible, {why}"
    return str(destination["counterpartyRef"])


def _money(cents: Any) -> str:
    return money.show(cents, CURRENCY) if isinstance(cents, int) else str(cents)


def _room(cents: int | None, none: str) -> str:
    return none if cents is None else _money(cents)
