"""Who may stand behind a principal, as far as it can honestly be known.

A person is their login. An API key is whoever made or rotated it, and that is in the append-only audit
trail, so it is known of old keys too and nobody can rewrite it. An ops token belongs to the deployment:
who holds it is not known here. Two logins of one human are two people to us.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from settld.audit.models import OpsAudit
from settld.core.principals import Actor

KEY: Final = "auth:"
PERSON: Final = "person:"
MOST_KEYS: Final = 100  # a chain of keys that made keys; what lies beyond is not looked for
ANYBODY: Final = "anybody"  # stands for what lies beyond, so it may be whoever is asked about


@dataclass(frozen=True)
class Hands:
    """Every principal known to be able to act as one; the principal itself is always among them.

    Where a chain of keys is too long to be followed, ANYBODY is among them as well.
    """

    principal_id: str
    names: frozenset[str]

    @property
    def user_ids(self) -> list[str]:
        """Name the people among them."""
        return sorted(name.removeprefix(PERSON) for name in self.names if name.startswith(PERSON))

    @property
    def only_user_id(self) -> str:
        """Name the one person who can have acted; blank when nobody, or several, are known."""
        people = self.user_ids
        return people[0] if len(people) == 1 else ""

    def touch(self, others: Iterable[str]) -> bool:
        """Tell whether somebody is, or may be, behind both."""
        theirs = frozenset(others)
        return ANYBODY in self.names | theirs or not self.names.isdisjoint(theirs)


def of(*, tenant_id: str, actor: Actor) -> Hands:
    """Find out who may stand behind an actor; reads the tenant's audit trail for an API key."""
    return behind(tenant_id=tenant_id, principal_id=actor.principal_id)


def behind(*, tenant_id: str, principal_id: str) -> Hands:
    """Find out who may stand behind a principal; see `of`."""
    known: set[str] = set()
    waiting = [principal_id]
    while waiting and len(known) < MOST_KEYS:
        name = waiting.pop()
        if name in known:
            continue
        known.add(name)
        if name.startswith(KEY):
            waiting += _makers(tenant_id, name.removeprefix(KEY))
    if not known.issuperset(waiting):
        known.add(ANYBODY)
    return Hands(principal_id, frozenset(known))


def _makers(tenant_id: str, key_id: str) -> list[str]:
    """Name who made a key; of one that replaced an older one who rotated it, and the older one itself."""
    rows = OpsAudit.objects.filter(tenant_id=tenant_id)
    made = rows.filter(target_type="auth_key", target_id=key_id, action="API_KEY_CREATE")
    makers = list(made.values_list("actor_principal_id", flat=True))
    turned = rows.filter(action="API_KEY_ROTATE", details_text__contains=f'"newKeyId":"{key_id}"')
    for row in turned:
        makers += [row.actor_principal_id, f"{KEY}{row.target_id}"]
    return makers
