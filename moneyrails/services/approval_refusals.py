"""Why a decision about an approval is refused; nothing was changed by any of them."""

from moneyrails.models import Approval
from settld.core import clock
from settld.core.errors import Conflict, Refusal


class SelfApproval(Refusal):
    """Who asked may not approve, nor may anybody who can act as who asked."""

    status = 403
    code = "APPROVAL_SELF_FORBIDDEN"
    message = "a change needs a second person: whoever asked for it cannot approve it"


class PersonRequired(Refusal):
    """No person is known behind the credential."""

    status = 403
    code = "APPROVAL_PERSON_REQUIRED"
    message = "only a known person approves: log in, or use an API key that a person has made"


class NotYours(Refusal):
    """Only who asked may withdraw."""

    status = 403
    code = "APPROVAL_NOT_YOURS"
    message = "only whoever asked for a change may withdraw it"


class TooManyPending(Conflict):
    """So many changes wait already that nobody can be deciding them."""

    code = "APPROVAL_TOO_MANY_PENDING"
    message = "too many changes wait for a second person; decide or withdraw some"


class KindUnknown(Conflict):
    """Nothing in this release carries out such a change; it can be rejected or withdrawn."""

    code = "APPROVAL_KIND_UNKNOWN"
    message = "this release cannot carry out such a change"


class NotPending(Conflict):
    """It was decided, or ended, already."""

    code = "APPROVAL_NOT_PENDING"
    message = "the approval is no longer pending"

    def __init__(self, approval: Approval) -> None:
        super().__init__(
            details={
                "approvalId": str(approval.pk),
                "status": str(approval.status),
                "decidedBy": approval.decided_by or None,
                "decidedAt": clock.iso(approval.decided_at),
            }
        )


class ApprovalExpired(Conflict):
    """Nobody decided it in time; it must be asked for again."""

    code = "APPROVAL_EXPIRED"
    message = "the approval has expired; ask for the change again"

    def __init__(self, approval: Approval) -> None:
        super().__init__(
            details={"approvalId": str(approval.pk), "expiresAt": clock.iso(approval.expires_at)}
        )


class ApprovalStale(Conflict):
    """What the change was asked against is no longer so; details show both states."""

    code = "APPROVAL_BASE_CHANGED"
    message = "things have changed since the change was asked for; ask for it again"


class SecondPersonRequired(Conflict):
    """A rule would be loosened by one person alone where the tenant asks for two."""

    code = "SECOND_PERSON_REQUIRED"
    message = "this loosens a control and needs a second person"
