"""Secrets by reference: platform-operations 3.7."""

import pytest

from settld.core import secret_refs
from settld.core.secret_refs import SecretRefFailed, resolve


@pytest.fixture(autouse=True)
def _fresh(settings):
    settings.ENV_SECRETS_ENABLED = True
    secret_refs.forget()
    yield
    secret_refs.forget()


def code_of(ref):
    with pytest.raises(SecretRefFailed) as refused:
        resolve(ref)
    return refused.value.code


@pytest.mark.parametrize(
    "ref", ["", "plain", "env:", "env:lower", "env:A B", "file:relative", "file:", "other:x", "file:/a\x00b"]
)
def test_what_is_no_reference_is_refused(ref):
    assert code_of(ref) == "SECRET_REF_INVALID"


def test_env_resolves_where_it_is_allowed(monkeypatch, settings):
    monkeypatch.setenv("ERP_SECRET", "s3cret")
    assert resolve("env:ERP_SECRET") == "s3cret"
    secret_refs.forget()
    settings.ENV_SECRETS_ENABLED = False
    assert code_of("env:ERP_SECRET") == "SECRET_PROVIDER_FORBIDDEN"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_or_blank_secret_is_not_found(monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("ERP_SECRET", value)
    assert code_of("env:ERP_SECRET") == "SECRET_NOT_FOUND"


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b" a ", " a "), ("é".encode(), "é")],
)
def test_a_file_loses_one_line_end_and_nothing_else(tmp_path, content, expected):
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert resolve(f"file:{path}") == expected


def test_files_that_cannot_be_read_say_so_without_their_content(tmp_path):
    assert code_of(f"file:{tmp_path}/none") == "SECRET_NOT_FOUND"
    assert code_of(f"file:{tmp_path}") == "SECRET_READ_FAILED"
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe secret")
    with pytest.raises(SecretRefFailed) as refused:
        resolve(f"file:{binary}")
    assert refused.value.code == "SECRET_READ_FAILED"
    assert refused.value.__cause__ is None
    large = tmp_path / "large"
    large.write_bytes(b"x" * (secret_refs.MOST_BYTES + 1))
    assert code_of(f"file:{large}") == "SECRET_READ_FAILED"


def test_vault_is_reserved():
    assert code_of("vault:kv/erp") == "SECRET_PROVIDER_UNAVAILABLE"


def test_a_value_is_kept_for_as_long_as_the_setting_says(tmp_path, settings):
    path = tmp_path / "secret"
    path.write_text("old")
    settings.SECRETS_CACHE_TTL_SECONDS = 60
    assert resolve(f"file:{path}") == "old"
    path.write_text("new")
    assert resolve(f"file:{path}") == "old"
    settings.SECRETS_CACHE_TTL_SECONDS = 0
    assert resolve(f"file:{path}") == "new"


def test_a_destination_with_a_malformed_reference_stops_the_start(monkeypatch):
    from django.core.exceptions import ImproperlyConfigured
    from environ import Env

    from settld.settings_parsing import export_destinations

    destination = '{"destinationId":"erp","kind":"webhook","url":"https://e.test","secretRef":"%s"}'
    monkeypatch.setenv("PROXY_EXPORT_DESTINATIONS", '{"t": [' + destination % "plain" + "]}")
    with pytest.raises(ImproperlyConfigured, match="erp"):
        export_destinations(Env(), is_production=True)
    monkeypatch.setenv("PROXY_EXPORT_DESTINATIONS", '{"t": [' + destination % "env:ERP" + "]}")
    assert export_destinations(Env(), is_production=True)["t"][0]["secretRef"] == "env:ERP"
