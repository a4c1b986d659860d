"""The second step of each act on an account: what it does, in words, and what it asks."""

from django.conf import settings
from django.urls import reverse

from moneyrails.models import ConnectAccount
from moneyrails.services.connect_sync import MOST_TARGETS
from ops_console import words
from ops_console.access import Visit
from ops_console.acts import ActForm, Field, Option
from ops_console.connect import standing
from ops_console.connect.listing import href_of

YES_NO = (Option("no", "No"), Option("yes", "Yes"))


def stripe_providers() -> list[str]:
    """Name the providers that a sync may go through."""
    return [name for name in settings.MONEY_RAILS.providers if name.lower().startswith("stripe")]


def mapping(visit: Visit, row: ConnectAccount) -> ActForm:
    """Say whose account it is."""
    return _form(
        visit, row, "map",
        title="Whose account is this?",
        text="Every payout of the party over Stripe goes here from now on. What is enqueued already keeps"
        " its account, and is refused at submit when that account has become somebody else's.",
        button="Map account",
        fields=(
            Field("party_id", "Party", value=row.party_id, max_length=200, hint="Empty maps it to nobody."),
            Field("party_role", "Party role", value=row.party_role, max_length=40),
        ),
    )  # fmt: skip


def set_default(visit: Visit, row: ConnectAccount) -> ActForm:
    """Make it the default."""
    text = "Parties without an account of their own are paid to it, in place of the present default."
    if row.party_id:
        text = f"It belongs to {row.party_id}, so nobody else is ever paid to it, default or not."
    return _form(visit, row, "set-default", title="Make it the default?", text=text, button="Set default")


def clear_default(visit: Visit, row: ConnectAccount) -> ActForm:
    """Take it back that it is the default."""
    return _form(
        visit, row, "clear-default",
        title="No longer the default?",
        text="Parties without an account of their own can then not be paid over Stripe.",
        button="Clear default",
    )  # fmt: skip


def disable(visit: Visit, row: ConnectAccount) -> ActForm:
    """Stop payouts to it until somebody enables it."""
    waiting = standing.waiting_for(tenant_id=visit.tenant_id, account_ids=[row.account_id])
    count = waiting.get(row.account_id, standing.Waiting()).count
    held = f" {words.count(count, 'payout')} not submitted yet will be refused." if count else ""
    return _form(
        visit, row, "disable",
        title="Disable this account?",
        text=f"No payout goes to it until somebody enables it again; no sync does that.{held}",
        button="Disable account",
        is_destructive=True,
    )  # fmt: skip


def enable(visit: Visit, row: ConnectAccount) -> ActForm:
    """Let payouts go to it again."""
    text = "Payouts may go to it again, as far as Stripe lets them."
    if row.kyb_status == "rejected":
        text = "Stripe still rejects it: nothing is paid to it, and the next sync disables it again."
    return _form(visit, row, "enable", title="Enable this account?", text=text, button="Enable account")


def remove(visit: Visit, row: ConnectAccount) -> ActForm:
    """Forget it."""
    return _form(
        visit, row, "remove",
        title="Remove this account?",
        text="It is forgotten with what Stripe said of it; payouts and the audit keep its name. Payouts to it"
        " that are not submitted yet will be refused. At Stripe nothing changes.",
        button="Remove account",
        is_destructive=True,
    )  # fmt: skip


def sync_one(visit: Visit, row: ConnectAccount) -> ActForm:
    """Look at it now."""
    return _form(
        visit, row, "sync",
        title="Look at Stripe now?",
        text="Reads the account at Stripe and takes over what it says. Nothing changes there.",
        button="Sync now",
        fields=_provider_field(),
    )  # fmt: skip


def sync_all(visit: Visit) -> ActForm:
    """Look at every account now."""
    return ActForm(
        action=reverse("console:connect-sync"),
        title="Look at every account now?",
        text=f"Reads up to {MOST_TARGETS} accounts at Stripe; where there are more, beat looks at them in"
        " turn.",
        button="Sync all",
        back_href=reverse("console:connect"),
        tenant_id=visit.tenant_id,
        fields=_provider_field(),
    )


def add(visit: Visit) -> ActForm:
    """Configure an account that is not here yet."""
    return ActForm(
        action=reverse("console:connect-add"),
        title="Add an account",
        text="The account must be connected to our platform at Stripe. It may be paid at once, unless a look"
        " at Stripe says otherwise.",
        button="Add account",
        back_href=reverse("console:connect"),
        tenant_id=visit.tenant_id,
        fields=(
            Field("account_id", "Account", max_length=200, is_required=True, hint="Stripe's name: acct_…"),
            Field("party_id", "Party", max_length=200, hint="Empty maps it to nobody."),
            Field("party_role", "Party role", max_length=40),
            Field("set_default", "Default account", value="no", options=YES_NO),
            Field(
                "enable_connect", "Enable Connect", value="no", options=YES_NO,
                hint="Once enabled, payouts over Stripe go to accounts of this list only.",
            ),
        ),
    )  # fmt: skip


def _provider_field() -> tuple[Field, ...]:
    names = stripe_providers()
    options = tuple(Option(name, name) for name in names)
    return (Field("provider_id", "Provider", value=names[0] if names else "", options=options),)


def _form(
    visit: Visit,
    row: ConnectAccount,
    act: str,
    *,
    title: str,
    text: str,
    button: str,
    fields: tuple[Field, ...] = (),
    is_destructive: bool = False,
) -> ActForm:
    href = href_of(row.account_id)
    return ActForm(
        action=f"{href}/{act}",
        title=title,
        text=text,
        button=button,
        back_href=href,
        tenant_id=visit.tenant_id,
        is_destructive=is_destructive,
        fields=fields,
    )
