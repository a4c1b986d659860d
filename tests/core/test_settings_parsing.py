"""Settings: a wrong value stops the start and says what to fix.

P3, P8, money-rails 3.2, platform-operations 3.4.
"""

import json

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

from settld import settings_parsing as parsing


def env_of(**values):
    env = environ.Env()
    env.ENVIRON = values
    return env


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"PROXY_OPS_TOKENS": "tok:ops_read,nonsense"}, "unknown scopes"),
        ({"PROXY_OPS_TOKENS": "tok:ops_read;tok:ops_write"}, "twice"),
        ({"PROXY_OPS_TOKENS": ":ops_read"}, "without a token"),
    ],
)
def test_bad_ops_tokens_stop_the_start(values, problem):
    with pytest.raises(ImproperlyConfigured, match=problem):
        parsing.ops_tokens(env_of(**values), is_production=False)


def test_the_single_ops_token_counts_only_when_the_list_is_empty():
    both = env_of(PROXY_OPS_TOKENS="a:ops_read", PROXY_OPS_TOKEN="b")
    assert parsing.ops_tokens(both, is_production=False) == {"a": frozenset({"ops_read"})}
    alone = parsing.ops_tokens(env_of(PROXY_OPS_TOKEN="b"), is_production=False)
    assert len(alone["b"]) == 9


def test_production_refuses_short_and_legacy_tokens():
    with pytest.raises(ImproperlyConfigured, match="24 characters"):
        parsing.ops_tokens(env_of(PROXY_OPS_TOKENS="short:ops_read"), is_production=True)
    with pytest.raises(ImproperlyConfigured, match="PROXY_ALLOW_LEGACY_OPS_TOKEN"):
        parsing.ops_tokens(env_of(PROXY_OPS_TOKEN="x" * 30), is_production=True)


def test_production_refuses_weak_secrets_and_debug():
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
        parsing.secret_key(env_of(), is_production=True)
    with pytest.raises(ImproperlyConfigured, match="DEBUG"):
        parsing.require_production_manners(env_of(), debug=True, allowed_hosts=["a"])
    with pytest.raises(ImproperlyConfigured, match="ALLOWED_HOSTS"):
        parsing.require_production_manners(env_of(), debug=False, allowed_hosts=["*"])
    with pytest.raises(ImproperlyConfigured, match="SETTLD_KEY_PEPPERS"):
        parsing.key_peppers(env_of(), is_production=True)
    with pytest.raises(ImproperlyConfigured, match="SETTLD_SIGNING_KEY_FILE"):
        parsing.signing_key(env_of(), is_production=True)


def rails(**values):
    return parsing.money_rails(
        env_of(
            **{f"PROXY_MONEY_RAIL_{k}": v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
        )
    )


def test_without_settings_there_is_a_sandbox_stub():
    rail = rails()
    assert (rail.default_provider_id, rail.default.mode) == ("stub_default", "sandbox")
    assert rail.default.status_map["reversed"] == "reversed"


def test_providers_may_be_an_object_keyed_by_id():
    rail = rails(PROVIDERS={"stripe_x": {"mode": "prod", "providerStatusMap": {"PAID": "confirmed"}}})
    assert rail.default.is_production
    assert rail.default.is_stripe
    assert rail.default.status_map["paid"] == "confirmed"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"MODE": "live"}, "sandbox or production"),
        ({"MODE": "production"}, "at least one provider"),
        ({"MODE": "production", "PROVIDERS": [{"providerId": "a"}], "PROVIDER_ID": "b"}, "not configured"),
        ({"MODE": "production", "PROVIDERS": [{"providerId": "stub_a"}]}, "stub"),
        ({"PROVIDERS": [{"providerId": "a"}, {"providerId": "a"}]}, "twice"),
        ({"PROVIDERS": [{}]}, "providerId"),
        ({"PROVIDERS": [{"providerId": "a", "requireSignedIngest": True}]}, "webhookSecret"),
        ({"PROVIDERS": [{"providerId": "a", "webhookSignatureToleranceSeconds": 0}]}, "positive integer"),
        ({"PROVIDERS": [{"providerId": "a", "providerStatusMap": {"x": "paid"}}]}, "unknown event types"),
        ({"PROVIDERS": "{"}, "not valid JSON"),
        ({"PROVIDERS": [{"providerId": "a", "allowPayout": "yes"}]}, "true or false"),
    ],
)
def test_faulty_providers_stop_the_start(values, problem):
    with pytest.raises(ImproperlyConfigured, match=problem):
        rails(**values)


@pytest.mark.parametrize("value", ["-1", "x", "1.5"])
def test_a_rate_limit_that_is_no_number_stops_the_start(value):
    with pytest.raises(ImproperlyConfigured, match="PROXY_RATE_LIMIT_RPM"):
        parsing.rate_limits(env_of(PROXY_RATE_LIMIT_RPM=value))


def test_secrets_do_not_show_in_a_printed_provider():
    rail = rails(PROVIDERS=[{"providerId": "a", "webhookSecret": "hush"}])
    assert "hush" not in repr(rail)


@pytest.mark.parametrize("value", ["{", "[]", '{"t":{}}', '{"t":[{"destinationId":"d"}]}'])
def test_export_destinations_that_make_no_sense_stop_the_start(value):
    with pytest.raises(ImproperlyConfigured, match="PROXY_EXPORT_DESTINATIONS"):
        if parsing.export_destinations(env_of(PROXY_EXPORT_DESTINATIONS=value), is_production=False) == {}:
            raise ImproperlyConfigured("PROXY_EXPORT_DESTINATIONS: empty")


def test_a_database_address_keeps_its_query_and_may_name_a_socket_folder(tmp_path):
    url = "postgresql://app:p%40ss@db.test:6432/main?sslmode=require"
    both = parsing.databases(env_of(DATABASE_URL=url), home=tmp_path)
    assert (both["default"]["HOST"], both["default"]["PORT"], both["default"]["PASSWORD"]) == (
        "db.test",
        "6432",
        "p@ss",
    )
    assert both["default"]["OPTIONS"]["sslmode"] == both["owner"]["OPTIONS"]["sslmode"] == "require"
    assert both["default"]["OPTIONS"]["assume_role"] == "settld_app"
    for address in ("postgresql://app@%2Frun%2Fpg/main", "postgresql://app@/main?host=/run/pg"):
        socket = parsing.databases(env_of(DATABASE_URL=address, DATABASE_OWNER_URL=address), home=tmp_path)
        assert socket["default"]["HOST"] == "/run/pg"
        assert "assume_role" not in socket["default"]["OPTIONS"]
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        parsing.databases(env_of(DATABASE_URL="mysql://x/y"), home=tmp_path)
