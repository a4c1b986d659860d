"""A tenant with two agents and money, and no provider outside: where stories of the books are played."""

from dataclasses import dataclass
from typing import Any

import pytest

from settld.closing.services import worker
from settld.core import clock, tenancy
from settld.metering.services.checks import check_tenant as usage_differences
from tests.crash.desk import PAST_EVERY_LEASE, Desk
from tests.crash.stories_payouts import Story
from tests.kernel import work
from tests.support import whole

MONTH = "2026-03"


@dataclass
class Office(Desk):
    """A desk whose tenant's books are the kernel's."""

    patch: pytest.MonkeyPatch | None = None

    def closes(self, month: str = MONTH) -> None:
        """Have the running month closed."""
        self.does("POST", "/ops/month-close", {"month": month}, key="close")
        worker.close_requested(tenant_id=self.tenant_id, now=clock.now())

    def breaches(self) -> dict[str, list[Any]]:
        with tenancy.tenant_scope(self.tenant_id):
            return whole.breaches(tenant_id=self.tenant_id, now=self.now)

    def keeps_its_sums(self) -> None:
        super().keeps_its_sums()
        assert usage_differences(self.tenant_id) == []
        assert self.breaches() == {}


class OfficeStory(Story):
    """A payer with 1,000.00, a payee, and `runs`, the caller who works with them."""

    desk: Office
    is_sound = True  # the story does not break the books on purpose
    lease = PAST_EVERY_LEASE

    def begin(self) -> None:
        work.parties()
        self.runs = work.Runs(self.desk.api)

    def holds(self, agent: str, *, available: int, locked: int = 0) -> None:
        """Require what an agent's wallet has."""
        assert work.wallet(agent) == (available, locked)

    def same(self, table: str, where: str, *, audited: str) -> int:
        """Count rows, of which each was audited once."""
        count = self.desk.count(table, where)
        assert self.desk.count("ops_audit", f"action = '{audited}'") == count
        return count
