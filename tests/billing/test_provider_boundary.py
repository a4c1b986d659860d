"""T-174: outside the gateway and the adapters nobody speaks the provider's SDK or its error words."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("settld", "billing", "moneyrails", "reconciliation", "ops_console")
MAY_KNOW = ("settld/stripe_gateway/", "settld/stripe_simulator/", "billing/providers/")
# Words that only the provider's error objects use.
ERROR_WORDS = frozenset(
    {
        "idempotency_error",
        "idempotency_key_in_use",
        "resource_missing",
        "lock_timeout",
        "rate_limit",
        "invalid_request_error",
        "card_error",
        "api_error",
        "api_connection_error",
        "authentication_error",
    }
)
SDK_NAMES = frozenset(
    {"StripeClient", "StripeError", "StripeObject", "InvalidRequestError", "APIConnectionError"}
)


def sources() -> list[Path]:
    found = [path for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py"))]
    return [path for path in found if not path.relative_to(PROJECT).as_posix().startswith(MAY_KNOW)]


def spoken(source: str) -> set[str]:
    """Give the provider's words in a piece of code, docstrings aside."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= ERROR_WORDS & {node.value}
        elif isinstance(node, ast.Attribute | ast.Name):
            found |= SDK_NAMES & {node.attr if isinstance(node, ast.Attribute) else node.id}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.split(".")[0] == "stripe"}
        elif (
            isinstance(node, ast.ImportFrom)
            and node.level == 0
            and (node.module or "").split(".")[0] == "stripe"
        ):
            found.add(str(node.module))
    return found


def test_t174_only_the_gateway_and_the_adapters_speak_the_providers_words():
    files = sources()
    assert len(files) > 300
    spoken_in = {path.relative_to(PROJECT).as_posix(): spoken(path.read_text()) for path in files}
    assert {path: words for path, words in spoken_in.items() if words} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import stripe",
        "from stripe.error import X",
        "except_ = 'resource_missing'",
        "x = kind == 'idempotency_error'",
        "client.StripeClient()",
    ],
)
def test_the_search_finds_what_it_looks_for(source):
    assert spoken(source)
