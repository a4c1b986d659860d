"""A call with a token skips what is for browsers; a browser's call does not."""

import pytest

PATH = "/ops/audit"


@pytest.fixture
def passed(monkeypatch):
    """The requests that went through the session middleware."""
    from django.contrib.sessions.middleware import SessionMiddleware

    seen = []
    original = SessionMiddleware.process_request
    monkeypatch.setattr(
        SessionMiddleware,
        "process_request",
        lambda self, request: (seen.append(request.path), original(self, request))[1],
    )
    return seen


def test_a_call_with_a_token_goes_straight_to_its_view(db, api, passed):
    answer = api.get(PATH)

    assert answer.status_code == 200
    assert passed == []
    assert answer["x-request-id"]
    assert answer["x-content-type-options"] == "nosniff"
    assert answer["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer["content-security-policy"]


def test_a_call_with_a_session_cookie_takes_the_whole_way(db, api, passed, settings):
    api.client.cookies[settings.SESSION_COOKIE_NAME] = "whatever"
    api.get(PATH)

    assert passed == [PATH]


def test_pages_and_unknown_paths_take_the_whole_way(db, api, passed):
    api.get("/login")
    assert api.get("/no/such/path").status_code == 404

    assert passed == ["/login", "/no/such/path"]


def test_a_fault_in_a_view_is_still_our_500(db, api, passed, monkeypatch):
    from settld.audit.api.views import AuditList

    monkeypatch.setattr(AuditList, "get", _fails)
    answer = api.get(PATH)

    assert answer.status_code == 500
    assert b"INTERNAL_ERROR" in answer.content
    assert passed == []


def _fails(self, request, **kwargs):
    raise RuntimeError("boom")
