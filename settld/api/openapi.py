"""The published description: every route says what it takes, what it answers and which scopes it needs.

Views describe themselves with `describe`; schemas are written with the small words below. The
committed snapshot (`docs/openapi.json`) is compared by `manage.py openapi_snapshot --check`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.conf import settings
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

Schema = dict[str, Any]
Handler = TypeVar("Handler", bound=Callable[..., Any])

TEXT: Schema = {"type": "string"}
BOOL: Schema = {"type": "boolean"}
INT: Schema = {"type": "integer"}
CENTS: Schema = {"type": "integer", "format": "int64", "description": "minor units"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
ANY: Schema = {}
OBJECT: Schema = {"type": "object", "additionalProperties": True}


def maybe(schema: Schema) -> Schema:
    """Allow null."""
    return {**schema, "nullable": True}


def many(schema: Schema) -> Schema:
    """Make an array of something."""
    return {"type": "array", "items": schema}


def one_of(*words: str) -> Schema:
    """Make a text out of a few words."""
    return {"type": "string", "enum": list(words)}


def mapping(schema: Schema) -> Schema:
    """Make an object whose members all have one shape."""
    return {"type": "object", "additionalProperties": schema}


def obj(members: dict[str, Schema], *, optional: Sequence[str] = ()) -> Schema:
    """Make an object; members not named optional are always there."""
    required = [name for name in members if name not in optional]
    return {"type": "object", "properties": members} | ({"required": required} if required else {})


ERROR = obj({"error": TEXT, "code": TEXT, "details": maybe(ANY)}, optional=("details",))
V1_ERROR = obj(
    {"ok": {"type": "boolean", "enum": [False]}, "code": TEXT, "message": TEXT, "details": ANY},
    optional=("details",),
)
REFUSALS = {
    400: "The request's shape is wrong, or a protocol version is not spoken.",
    401: "No valid credential, and no login.",
    402: "The plan does not cover it.",
    403: "No valid credential, or one without a scope that suffices.",
    404: "No such thing for this tenant.",
    409: "The state of things refuses it; `code` says why and nothing was changed.",
    413: "The body is too large.",
    415: "The body's content type is not JSON.",
    426: "The protocol version named is no longer spoken.",
    428: "The call does not say after which state it is meant to come.",
    429: "Too many requests, or a quota is used up.",
    500: "Our fault; `details.requestId` leads to the log.",
    502: "The provider failed or answered nonsense.",
    503: "Not now; try again.",
}
ALWAYS_READ = (400, 403, 404, 426, 429, 500, 503)
ALWAYS_WRITE = (*ALWAYS_READ, 413, 415)


def query(
    name: str, schema: Any = TEXT, description: str = "", *, required: bool = False
) -> OpenApiParameter:
    """Describe a query parameter."""
    return OpenApiParameter(name, type=schema, location="query", description=description, required=required)


PAGE = (
    query("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200}, "rows wanted"),
    query("offset", {"type": "integer", "minimum": 0, "default": 0}, "rows to skip"),
)
TENANT = OpenApiParameter(
    "x-proxy-tenant-id", OpenApiTypes.STR, "header", description="tenant; blank is tenant_default"
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "x-idempotency-key", OpenApiTypes.STR, "header", description="names one effect; a repeat is replayed"
)


def describe(
    summary: str,
    *,
    answers: dict[int, Schema],
    body: Schema | None = None,
    refusals: Sequence[int] = (),
    parameters: Sequence[OpenApiParameter] = (),
    idempotent: bool = False,
    description: str = "",
    is_write: bool = False,
    error: Schema = ERROR,
    answer_type: str = "application/json",
) -> Callable[[Handler], Handler]:
    """Describe one handler; the refusals that any route may give are added."""
    is_write = is_write or body is not None or idempotent
    statuses = sorted(
        {*(ALWAYS_WRITE if is_write else ALWAYS_READ), *refusals, *([409] if idempotent else [])}
    )
    responses: dict[Any, Any] = {
        (status, answer_type): OpenApiResponse(response=schema or OBJECT, description="Done.")
        for status, schema in answers.items()
    }
    responses |= {
        (status, "application/json"): OpenApiResponse(response=error, description=REFUSALS[status])
        for status in statuses
        if status not in answers
    }
    headers = (TENANT, IDEMPOTENCY_KEY) if idempotent else (TENANT,)
    return extend_schema(
        summary=summary,
        description=description or summary,
        request={"application/json": body} if body is not None else None,
        responses=responses,
        parameters=[*headers, *parameters],
    )


class OpsSchema(AutoSchema):
    """Spectacular's inspector, with scopes per operation and our security schemes."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            scopes = getattr(self.view, "scopes", {}).get(self.method.upper())
            operation["x-settld-scopes"] = list(scopes or ())
            operation["security"] = (
                [{"ProxyApiKey": []}, {"BearerAuth": []}, {"OpsToken": []}] if scopes else [{}]
            )
        return operation

    def get_tags(self) -> list[str]:
        parts = [part for part in self.path.split("/") if part and "{" not in part]
        return ["/".join(parts[:2])] if parts else ["platform"]

    def get_operation_id(self) -> str:
        words = [word for word in re.split(r"[^A-Za-z0-9]+", self.path) if word]
        return "_".join([self.method.lower(), *words])

    def get_filter_backends(self) -> list[Any]:
        return []


_plain: dict[str, dict[str, Any]] = {}


def plain(
    path: str,
    method: str,
    *,
    summary: str,
    answers: dict[int, Schema],
    body: Schema | None = None,
    answer_type: str = "application/json",
) -> None:
    """Describe a route served by a plain Django view; it needs no credential."""
    responses = {
        str(status): {
            "description": "Done." if status < 400 else REFUSALS.get(status, "Refused."),
            "content": {answer_type: {"schema": schema}},
        }
        for status, schema in answers.items()
    }
    words = [word for word in re.split(r"[^A-Za-z0-9]+", path) if word]
    operation: dict[str, Any] = {
        "operationId": "_".join([method, *words]),
        "summary": summary,
        "description": summary,
        "tags": ["platform"],
        "security": [{}],
        "x-settld-scopes": [],
        "responses": responses,
    }
    if body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    _plain.setdefault(path, {})[method] = operation


def only_public_routes(endpoints: list[Any]) -> list[Any]:
    """Leave out the admin, the console and the login pages: they are for people."""
    return [
        endpoint
        for endpoint in endpoints
        if not endpoint[0].startswith(("/admin", "/console", "/login", "/logout", "/static", "/openapi"))
    ]


def finish(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add what the generator cannot know: protocol, credentials, plain routes; camelCase in paths."""
    result["info"]["x-settld-protocol"] = settings.PROTOCOL.current
    result.setdefault("components", {})["securitySchemes"] = {
        "BearerAuth": {"type": "http", "scheme": "bearer"},
        "ProxyApiKey": {"type": "apiKey", "in": "header", "name": "x-proxy-api-key"},
        "OpsToken": {"type": "apiKey", "in": "header", "name": "x-proxy-ops-token"},
    }
    paths = {_camel_path(path): _camel_parameters(item) for path, item in result["paths"].items()}
    result["paths"] = dict(sorted((paths | _plain).items()))
    return result


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)


def _camel_path(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: "{" + _camel(match.group(1)) + "}", path)


def _camel_parameters(item: dict[str, Any]) -> dict[str, Any]:
    for operation in item.values():
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                parameter["name"] = _camel(parameter["name"])
    return item
