"""What a `make run` sets, and what the reader's settings win over."""

import json
import socket

import pytest

from settld.launcher.environment import demo_environment, strongest_ops_token, uses_simulator
from settld.launcher.errors import LauncherError
from settld.launcher.given import read_dotenv
from settld.launcher.home import open_home
from settld.launcher.ports import kept_port, read_port, require_free
from settld.launcher.secrets_store import load_secrets


@pytest.fixture
def build(tmp_path):
    home = open_home(tmp_path / "state")

    def environment(**given):
        return demo_environment(
            given=given, home=home, secrets=load_secrets(home), port=8123, simulator_url="http://127.0.0.1:9"
        )

    return environment


def test_the_demo_has_a_sandbox_and_a_simulated_stripe(build):
    environment = build()

    assert json.loads(environment["PROXY_MONEY_RAIL_PROVIDERS"]) == [
        {"providerId": "stub_default", "mode": "sandbox"},
        {"providerId": "stripe_sim", "mode": "production"},
    ]
    assert environment["PROXY_MONEY_RAIL_PROVIDER_ID"] == "stub_default"
    assert environment["PROXY_BILLING_STRIPE_API_BASE_URL"] == "http://127.0.0.1:9"
    assert environment["SETTLD_ENV"] == "development"


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "PROXY_OPS_TOKENS",
        "PROXY_MONEY_RAIL_PROVIDERS",
        "PROXY_MONEY_RAIL_PROVIDER_ID",
        "PROXY_BILLING_STRIPE_WEBHOOK_SECRET",
        "SETTLD_KEY_PEPPERS",
        "PUBLIC_API_BASE_URL",
    ],
)
def test_a_setting_that_is_given_wins(build, name):
    assert build(**{name: "theirs"})[name] == "theirs"


def test_a_given_single_ops_token_is_not_hidden_by_the_demos_list(build):
    environment = build(PROXY_OPS_TOKEN="theirs")

    assert "PROXY_OPS_TOKENS" not in environment
    assert environment["SETTLD_DEMO_OPS_TOKEN"] == "theirs"


def test_given_providers_choose_their_own_default(build):
    assert "PROXY_MONEY_RAIL_PROVIDER_ID" not in build(PROXY_MONEY_RAIL_PROVIDERS="[]")


def test_production_rails_do_not_begin_with_a_stub(build):
    assert build(PROXY_MONEY_RAIL_MODE="production")["PROXY_MONEY_RAIL_PROVIDER_ID"] == "stripe_sim"


def test_a_given_signing_key_takes_the_place_of_the_generated_one(build):
    assert "SETTLD_SIGNING_KEY_FILE" in build()
    assert "SETTLD_SIGNING_KEY_FILE" not in build(SETTLD_SIGNING_KEY_PEM="theirs")


def test_the_demo_uses_the_ops_token_with_the_most_scopes():
    tokens = "small:ops_read;large:ops_write,finance_write;none"

    assert strongest_ops_token({"PROXY_OPS_TOKENS": tokens}) == "large"


def test_another_stripe_address_needs_no_simulator():
    assert uses_simulator({})
    assert not uses_simulator({"PROXY_BILLING_STRIPE_API_BASE_URL": "http://127.0.0.1:12111"})


def test_a_dotenv_file_is_read_with_and_without_quotes(tmp_path):
    (tmp_path / ".env").write_text("# note\nA=1\nexport B = 'two words'\nC=\"x=y\"\nnot an assignment\n")

    assert read_dotenv(tmp_path / ".env") == {"A": "1", "B": "two words", "C": "x=y"}


@pytest.mark.parametrize("text", ["http", "0", "65536", "80a", "-1"])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(LauncherError, match="is not a port"):
        read_port(text)


def test_a_busy_port_is_named_with_a_way_out():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(LauncherError, match=rf"(?s)Port {port} .* is busy.*make run PORT=\d+"):
            require_free("127.0.0.1", port)


def test_billing_is_on_in_the_demo_unless_what_it_needs_was_blanked(build):
    assert build()["BILLING_ENABLED"] == "1"
    assert build(PROXY_BILLING_STRIPE_SECRET_KEY="")["BILLING_ENABLED"] == "0"
    assert build(PROXY_BILLING_STRIPE_SECRET_KEY="", BILLING_ENABLED="1")["BILLING_ENABLED"] == "1"


def test_the_simulator_s_port_is_kept_until_somebody_else_takes_it(tmp_path):
    file = tmp_path / "simulator.port"

    first = kept_port(file)

    assert kept_port(file) == first
    with socket.socket() as other:
        other.bind(("127.0.0.1", first))
        other.listen()
        second = kept_port(file)
    assert second != first
    assert kept_port(file) == second
    for nonsense in ("", "x", "0", "70000"):
        file.write_text(nonsense)
        assert 1 <= kept_port(file) <= 65535
