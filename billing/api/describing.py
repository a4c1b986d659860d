"""Describing a route of this family: its error body, and the 401 that others do not have (spec 7.1)."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from settld.api import openapi
from settld.api.openapi import OBJECT, TEXT, Schema, mapping, obj

Handler = TypeVar("Handler", bound=Callable[..., Any])

ERROR: Final = obj(
    {"error": TEXT, "code": TEXT, "details": OBJECT, "fieldErrors": mapping(TEXT)},
    optional=("code", "details", "fieldErrors"),
)
SELECTORS: Final = (
    OpenApiParameter(
        "x-billable-entity-id", OpenApiTypes.INT64, "header", description="the billable entity; also a query"
    ),
    OpenApiParameter(
        "x-workspace-slug", OpenApiTypes.STR, "header", description="the workspace, by its tenant id"
    ),
)
IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    "header",
    required=True,
    description="the client's name for this effect, at most 191 printable ASCII characters",
)


def describe(
    summary: str,
    *,
    answers: dict[int, Schema],
    body: Schema | None = None,
    refusals: Sequence[int] = (),
    parameters: Sequence[OpenApiParameter] = (),
    description: str = "",
    of_entity: bool = True,
    with_key: bool = False,
    is_write: bool = False,
) -> Callable[[Handler], Handler]:
    """Describe a handler; `of_entity` adds the selectors, `with_key` the Idempotency-Key."""
    headers = (*(SELECTORS if of_entity else ()), *((IDEMPOTENCY_KEY,) if with_key else ()))
    return openapi.describe(
        summary,
        answers=answers,
        body=body,
        refusals=(401, *((409,) if of_entity else ()), *refusals),
        parameters=(*headers, *parameters),
        description=description,
        is_write=is_write,
        error=ERROR,
    )
