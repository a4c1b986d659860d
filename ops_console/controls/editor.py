"""GET, POST /console/controls/edit: fill in, look at what it changes, then do it or ask a second person."""

from dataclasses import dataclass, replace
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from billing.plans import queries as plan_queries
from billing.plans.services import plan as plans
from billing.plans.services.plan_request import PlanChange
from moneyrails.models import MoneyRailControls
from moneyrails.services import controls, loosening
from moneyrails.services.controls_payload import Payload
from ops_console import acts, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Field
from ops_console.controls import editing, impact, wording
from ops_console.controls.editing import RulesForm
from ops_console.controls.impact import Impact
from ops_console.controls.wording import Line
from settld.core.errors import Refusal

METHODS: Final = ("GET", "HEAD", "POST")
CONFIRM: Final = "confirm"


@dataclass(frozen=True)
class Preview:
    """What a change would do, before it is done."""

    lines: list[Line]
    impacts: list[Impact]
    needs_two: bool
    expects: str

    @property
    def is_change(self) -> bool:
        """Tell whether anything would change."""
        return bool(self.lines)


@workspace("finance_write", methods=METHODS)
def edit(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Show the form, then what it would change, then do it."""
    row = controls.get(tenant_id=visit.tenant_id)
    if request.method != "POST":
        return _form_page(request, visit, row, editing.shown(row))
    act = _act(visit)
    form = editing.filled(row, request.POST)
    try:
        act = acts.filled(act, request.POST.dict())
    except Refusal as refusal:
        return _form_page(request, visit, row, form, refusal=refusal)
    if not form.is_complete:
        return _form_page(request, visit, row, form, status=422)
    if request.POST.get("step") != CONFIRM:
        return _preview_page(request, visit, row, form, act)
    sent = replace(
        act,
        fields=tuple(
            Field(f"{number}:{name}", name, value) for number, (name, value) in enumerate(form.sent)
        ),
    )
    expects = request.POST.get("expects", "")[:64]
    try:
        done = acts.once(
            acts.identity(request, visit, sent), visit, lambda: _carry_out(visit, form, expects=expects)
        )
    except Refusal as refusal:
        return _preview_page(request, visit, row, form, acts.fresh(act), refusal=refusal)
    messages.add_message(request, messages.SUCCESS, done.answer["text"])
    return go(request, done.answer["href"])


def _act(visit: Visit) -> ActForm:
    return ActForm(
        action=reverse("console:controls-edit"), title="", text="", button="",
        back_href=reverse("console:controls"), tenant_id=visit.tenant_id,
    )  # fmt: skip


def _carry_out(visit: Visit, form: RulesForm, *, expects: str) -> dict[str, Any]:
    config = plan_queries.config(tenant_id=visit.tenant_id)
    body = {
        "planOverrides": config.plan_overrides,
        "hardLimitEnforced": config.hard_limit_enforced,
        "moneyRails": form.payload,
    }
    done = plans.replace(
        tenant_id=visit.tenant_id,
        change=PlanChange(
            base_plan=None,
            plan_overrides=config.plan_overrides,
            hard_limit_enforced=config.hard_limit_enforced,
            controls=form.payload,
            body=body,
            reason=form.value("reason"),
            expects=expects or "missing",
        ),
        actor=visit.actor,
        now=visit.now,
    )
    if done.approval is None:
        return {"text": "The rules are changed.", "href": reverse("console:controls")}
    return {
        "text": "Asked. Nothing is changed until a second person approves.",
        "href": reverse("console:approval", args=[str(done.approval.pk)]),
    }


def preview(visit: Visit, row: MoneyRailControls, form: RulesForm) -> Preview:
    """Work out what a form would change, and which of it needs a second person."""
    wanted = Payload.parse(form.payload)
    if wanted is None:
        raise RuntimeError("a form always says something of the controls")
    after = controls.preview(row, wanted, now=visit.now)
    loosened = {
        entry.field: entry.why
        for entry in loosening.of(row, wanted, default_four_eyes=bool(settings.FOUR_EYES))
    }
    lines = [
        replace(line, why=loosened.get(line.field, ""))
        for line in wording.lines(controls.as_json(row), after)
    ]  # fmt: skip
    config = plan_queries.config(tenant_id=visit.tenant_id)
    return Preview(
        lines=lines,
        impacts=impact.of(row, after, now=visit.now),
        needs_two=bool(loosened) and row.has_four_eyes,
        expects=plans.fingerprint(config, row),
    )


# --- The pages ------------------------------------------------------------------------------------
def _form_page(
    request: HttpRequest,
    visit: Visit,
    row: MoneyRailControls,
    form: RulesForm,
    *,
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "act": acts.fresh(_act(visit)),
        "has_four_eyes": row.has_four_eyes,
        "refusal": errors.shown(refusal, request_id=visit.request_id) if refusal else None,
    }
    return shell.page(
        request, visit, "ops_console/controls/edit.html", context, key="controls",
        status=refusal.status if refusal else status,
    )  # fmt: skip


def _preview_page(
    request: HttpRequest,
    visit: Visit,
    row: MoneyRailControls,
    form: RulesForm,
    act: ActForm,
    *,
    refusal: Refusal | None = None,
) -> HttpResponse:
    """Show what would change against the rules as they are now; after a conflict that shows both versions."""
    context = {
        "form": form,
        "act": act,
        "preview": preview(visit, row, form),
        "refusal": errors.shown(refusal, request_id=visit.request_id) if refusal else None,
    }
    return shell.page(
        request, visit, "ops_console/controls/preview.html", context, key="controls",
        status=refusal.status if refusal else 200,
    )  # fmt: skip
