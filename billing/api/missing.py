"""A path under /api/billing or /api/console/billing that no route has."""

from typing import Any, ClassVar

from django.http import HttpResponse

from billing.api.base import BillingView
from billing.api.errors import NotFound


class Missing(BillingView):
    """Answer 404, and 401 first to a stranger."""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {}
    schema = None  # no route, so nothing to describe

    def get(self, request: Any, **_kwargs: Any) -> HttpResponse:
        raise NotFound()

    post = put = patch = delete = get
