"""/ops/ledger: spec/settld-billing-and-finance.md 5.1, Manual entries, and 0."""

import datetime as dt

import pytest

from tests.support.api import body, refusal

NOW = "2026-03-15T12:00:00.000Z"
POSTINGS = [
    {"accountId": "acct_platform_revenue", "amountCents": 250},
    {"accountId": "acct_operator_payable", "amountCents": -250},
]


def posting(account, cents, **more):
    return {"accountId": account, "amountCents": cents} | more


def wanted(**change):
    return {"memo": "fee given back", "reason": "exception 12", "postings": POSTINGS} | change


@pytest.fixture
def clocked(db):
    from settld.core import clock

    with clock.freeze(dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)) as move:
        yield move


@pytest.fixture
def posted(api, clocked):
    return body(api.post("/ops/ledger/entries", wanted(entryId="man_1", jobId="run_7")))


def test_a_manual_entry_is_posted_attributed_and_audited(api, posted):
    assert posted == {
        "entry": {
            "schemaVersion": "LedgerEntry.v1",
            "tenantId": "tenant_a",
            "entryId": "man_1",
            "book": "general",
            "period": "2026-03",
            "at": NOW,
            "memo": "job:run_7 fee given back",
            "sourceType": "manual",
            "sourceId": "man_1",
            "reason": "exception 12",
            "postings": [
                posting("acct_platform_revenue", 250, postingId="p0", currency="USD"),
                posting("acct_operator_payable", -250, postingId="p1", currency="USD"),
            ],
            "recordedAt": NOW,
        },
        "allocations": [
            {
                "entryId": "man_1", "postingId": "p0", "accountId": "acct_platform_revenue",
                "partyId": "pty_platform", "partyRole": "platform", "currency": "USD", "amountCents": 250,
            },
            {
                "entryId": "man_1", "postingId": "p1", "accountId": "acct_operator_payable",
                "partyId": "pty_operator", "partyRole": "operator", "currency": "USD", "amountCents": -250,
            },
        ],
    }  # fmt: skip
    assert body(api.get("/ops/ledger/entries/man_1")) == posted
    (row,) = body(api.get("/ops/audit?action=LEDGER_ENTRY_POSTED"))["audit"]
    assert (row["targetType"], row["targetId"]) == ("ledger_entry", "man_1")
    assert row["details"] == {
        "reason": "exception 12",
        "memo": "job:run_7 fee given back",
        "period": "2026-03",
        "postings": [["acct_platform_revenue", 250, "USD"], ["acct_operator_payable", -250, "USD"]],
    }


def test_named_shares_take_the_place_of_the_account_s_party(api, clocked):
    shares = [
        {"postingId": "p1", "partyId": "pty_operator:agt_1", "amountCents": -200},
        {"postingId": "p1", "partyId": "pty_operator:agt_2", "partyRole": "operator", "amountCents": -50},
    ]
    answer = body(api.post("/ops/ledger/entries", wanted(allocations=shares, currency="eur")))
    assert answer["entry"]["entryId"].startswith("man_")
    assert [
        (a["postingId"], a["partyId"], a["partyRole"], a["amountCents"], a["currency"])
        for a in answer["allocations"]
    ] == [
        ("p0", "pty_platform", "platform", 250, "EUR"),
        ("p1", "pty_operator:agt_1", "operator", -200, "EUR"),
        ("p1", "pty_operator:agt_2", "operator", -50, "EUR"),
    ]


def test_a_key_names_one_entry_and_replays_its_answer(api, clocked):
    first = api.post("/ops/ledger/entries", wanted(), key="k1")
    again = api.post("/ops/ledger/entries", wanted(), key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert refusal(api.post("/ops/ledger/entries", wanted(memo="x"), key="k1")) == (
        409,
        "IDEMPOTENCY_CONFLICT",
    )
    assert len(body(api.get("/ops/ledger/entries"))["entries"]) == 1


def test_the_same_entry_id_again_is_a_no_op_even_later_and_other_content_a_conflict(api, posted, clocked):
    """Rule 3 (the peer ignores it)."""
    clocked(dt.datetime(2026, 3, 15, 13, tzinfo=dt.UTC))
    again = api.post("/ops/ledger/entries", wanted(entryId="man_1", jobId="run_7"))
    assert (again.status_code, body(again)) == (201, posted)
    other = api.post("/ops/ledger/entries", wanted(entryId="man_1", jobId="run_7", memo="other"))
    assert refusal(other) == (409, "LEDGER_ENTRY_CONFLICT")
    assert len(body(api.get("/ops/audit?action=LEDGER_ENTRY_POSTED"))["audit"]) == 1
    assert len(body(api.get("/ops/ledger/entries"))["entries"]) == 1


def share(**change):
    return {"postingId": "p0", "partyId": "pty_1", "amountCents": 1} | change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reason": None}, "SCHEMA_INVALID"),
        ({"reason": "   "}, "SCHEMA_INVALID"),
        ({"memo": None}, "SCHEMA_INVALID"),
        ({"memo": "a\x00b"}, "SCHEMA_INVALID"),
        ({"allocations": [share(partyRole="Operator")]}, "SCHEMA_INVALID"),  # a role that nobody is paid in
        ({"allocations": [share(partyId="pty\n1")]}, "SCHEMA_INVALID"),
        ({"allocations": [share(partyId="p" * 301)]}, "SCHEMA_INVALID"),
        ({"postings": None}, "SCHEMA_INVALID"),
        ({"postings": {"accountId": "acct_cash"}}, "SCHEMA_INVALID"),
        ({"postings": ["acct_cash"]}, "SCHEMA_INVALID"),
        ({"postings": [posting("acct_cash", 1)] * 201}, "SCHEMA_INVALID"),
        ({"postings": [posting("acct_cash", "5"), posting("acct_cash", -5)]}, "SCHEMA_INVALID"),
        ({"postings": [posting("acct_cash", 5.5), posting("acct_cash", -5.5)]}, "SCHEMA_INVALID"),
        ({"postings": [posting("acct_cash", True), posting("acct_cash", -1)]}, "SCHEMA_INVALID"),
        ({"postings": [posting("acct_cash", 10**30), posting("acct_cash", -(10**30))]}, "SCHEMA_INVALID"),
        ({"postings": [posting(None, 5), posting("acct_cash", -5)]}, "SCHEMA_INVALID"),
        ({"currency": "DOLLAR$"}, "SCHEMA_INVALID"),
        ({"at": "2026-03-15"}, "SCHEMA_INVALID"),
        ({"at": "2026-03-15T12:00:00.001Z"}, "SCHEMA_INVALID"),
        ({"at": "0001-01-01T00:00:00Z"}, "SCHEMA_INVALID"),
        ({"entryId": "a b"}, "SCHEMA_INVALID"),
        ({"entryId": "jnl_fund_1"}, "SCHEMA_INVALID"),
        ({"entryId": "escrow_release_run_1_evt_1"}, "SCHEMA_INVALID"),
        ({"jobId": "a b"}, "SCHEMA_INVALID"),
        ({"allocations": "all"}, "SCHEMA_INVALID"),
        ({"postings": []}, "LEDGER_ENTRY_UNBALANCED"),
        ({"postings": POSTINGS[:1]}, "LEDGER_ENTRY_UNBALANCED"),
        ({"postings": [posting("acct_cash", 5), posting("acct_cash", -4)]}, "LEDGER_ENTRY_UNBALANCED"),
        ({"postings": [posting("acct_cash", 0), posting("acct_cash", 0)]}, "LEDGER_ENTRY_UNBALANCED"),
        (
            {"postings": [posting("acct_cash", 5), posting("acct_cash", -5, currency="EUR")]},
            "LEDGER_ENTRY_UNBALANCED",
        ),
        ({"postings": [posting("acct_no", 5), posting("acct_cash", -5)]}, "LEDGER_ACCOUNT_UNKNOWN"),
        (
            {"postings": [posting("wallet:tenant_a:wallet_a:available", 5), posting("acct_cash", -5)]},
            "LEDGER_ACCOUNT_UNKNOWN",
        ),
        (
            {"allocations": [{"postingId": "p0", "partyId": "x", "amountCents": 249}]},
            "LEDGER_ALLOCATION_MISMATCH",
        ),
        (
            {"allocations": [{"postingId": "p2", "partyId": "x", "amountCents": 250}]},
            "LEDGER_ALLOCATION_MISMATCH",
        ),
    ],
)
def test_a_bad_entry_is_refused_with_400_and_posts_nothing(api, clocked, change, code):
    from settld.core import tenancy
    from tests.ledger.books import open_accounts

    with tenancy.tenant_scope("tenant_a"):
        open_accounts()  # the wallet is there, and still not to be posted on by hand
    assert refusal(api.post("/ops/ledger/entries", wanted(**change))) == (400, code)
    assert body(api.get("/ops/ledger/entries"))["entries"] == []
    assert body(api.get("/ops/audit?action=LEDGER_ENTRY_POSTED"))["audit"] == []


def test_a_closed_month_refuses_a_manual_entry(api, clocked):
    from settld.core import tenancy
    from tests.ledger.books import close_month

    with tenancy.tenant_scope("tenant_a"):
        close_month("2026-02")
    answer = api.post("/ops/ledger/entries", wanted(at="2026-02-28T23:59:59.999Z"))
    assert refusal(answer) == (409, "LEDGER_PERIOD_CLOSED")
    assert api.post("/ops/ledger/entries", wanted(at="2026-03-01T00:00:00Z")).status_code == 201


def test_writing_takes_finance_write_and_reading_finance_read(api, clocked):
    reader = api.with_token("tok_read")
    assert reader.post("/ops/ledger/entries", wanted()).status_code == 403
    assert reader.post("/ops/ledger/accounts", {"accountId": "acct_x"}).status_code == 403
    for path in ("entries", "balances", "accounts"):
        assert reader.get(f"/ops/ledger/{path}").status_code == 200
        assert api.with_token("").get(f"/ops/ledger/{path}").status_code == 403


@pytest.fixture
def many(api, clocked):
    for number, at in enumerate(["2026-02-10", "2026-02-10", "2026-03-01", "2026-03-02"]):
        body(api.post("/ops/ledger/entries", wanted(entryId=f"m{number}", at=f"{at}T00:00:00Z")))
    cash = [posting("acct_cash", 5), posting("acct_cash", 5), posting("acct_insurance_reserve", -10)]
    body(api.post("/ops/ledger/entries", wanted(entryId="cash", at="2026-03-01T12:00:00Z", postings=cash)))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["m3", "cash", "m2", "m1", "m0"]),
        ("limit=2&offset=1", ["cash", "m2"]),
        ("period=2026-02", ["m1", "m0"]),
        ("period=2026-04", []),
        ("book=general&period=2026-03", ["m3", "cash", "m2"]),
        ("book=escrow", []),
        ("accountId=acct_cash", ["cash"]),
        ("accountId=acct_operator_payable&period=2026-03", ["m3", "m2"]),
        ("accountId=acct_operator_payable&limit=1&offset=3", ["m0"]),
        ("sourceType=manual&sourceId=m1", ["m1"]),
        ("sourceType=manual&limit=1", ["m3"]),
        ("accountId=acct_cash&sourceType=kernel", []),
    ],
)
def test_entries_are_listed_newest_first_and_filtered_before_they_are_paged(api, many, query, found):
    """0.6 (the peer filters after paging and loses rows)."""
    answer = body(api.get(f"/ops/ledger/entries?{query}"))
    assert [entry["entryId"] for entry in answer["entries"]] == found
    assert all(len(entry["postings"]) == len(entry["allocations"]) >= 2 for entry in answer["entries"])


@pytest.mark.parametrize(
    "path",
    [
        "entries?period=2026-13",
        "entries?book=cash",
        "entries?limit=0",
        "entries?sourceId=x",
        "entries?accountId=%00",
        "balances?at=yesterday",
        "balances?offset=-1",
        "accounts?limit=1001",
    ],
)
def test_a_bad_question_is_refused(api, db, path):
    assert refusal(api.get(f"/ops/ledger/{path}")) == (400, "SCHEMA_INVALID")


def test_an_entry_of_nobody_or_of_another_tenant_is_not_found(api, posted):
    assert refusal(api.get("/ops/ledger/entries/nowhere")) == (404, "NOT_FOUND")
    assert refusal(api.as_tenant("tenant_b").get("/ops/ledger/entries/man_1")) == (404, "NOT_FOUND")
    assert body(api.as_tenant("tenant_b").get("/ops/ledger/balances"))["balances"] == []


def test_balances_tell_what_stood_at_an_instant(api, many):
    def shown(query):
        answer = body(api.get(f"/ops/ledger/balances?{query}"))
        return answer["at"], {row["accountId"]: row["amountCents"] for row in answer["balances"]}

    now = {
        "acct_cash": 10, "acct_insurance_reserve": -10,
        "acct_operator_payable": -1000, "acct_platform_revenue": 1000,
    }  # fmt: skip
    assert shown("") == (None, now)
    at = "2026-03-01T00:00:00.000Z"
    then = {
        "acct_cash": 0, "acct_insurance_reserve": 0,
        "acct_operator_payable": -750, "acct_platform_revenue": 750,
    }  # fmt: skip
    assert shown(f"at={at}") == (at, then)
    assert shown("accountId=acct_cash") == (None, {"acct_cash": 10})
    assert shown("limit=1&offset=3")[1] == {"acct_platform_revenue": 1000}
    assert body(api.get("/ops/ledger/balances?accountId=acct_cash"))["balances"] == [
        {"accountId": "acct_cash", "currency": "USD", "book": "general", "amountCents": 10}
    ]


def test_a_tenant_adds_an_account_posts_on_it_and_sees_it_listed(api, clocked):
    """5.1: the accounts are extendable per tenant."""
    lines = [posting("acct_developer_bonus", 5), posting("acct_cash", -5)]
    assert refusal(api.post("/ops/ledger/entries", wanted(postings=lines))) == (400, "LEDGER_ACCOUNT_UNKNOWN")
    made = api.post(
        "/ops/ledger/accounts", {"accountId": "acct_developer_bonus", "displayName": "Bonus"}, key="k"
    )
    account = {
        "accountId": "acct_developer_bonus", "displayName": "Bonus", "book": "general", "isOwn": True,
        "createdAt": NOW,
    }  # fmt: skip
    assert (made.status_code, body(made)) == (201, {"account": account})
    again = api.post(
        "/ops/ledger/accounts", {"accountId": "acct_developer_bonus", "displayName": "Bonus"}, key="k"
    )
    assert again.content == made.content
    posted = body(api.post("/ops/ledger/entries", wanted(postings=lines)))
    assert posted["allocations"][0]["partyId"] == "pty_subcontractor"
    listed = body(api.get("/ops/ledger/accounts"))["accounts"]
    assert [row["accountId"] for row in listed] == sorted(row["accountId"] for row in listed)
    assert len(listed) == 13
    assert account in listed
    (row,) = body(api.get("/ops/audit?action=LEDGER_ACCOUNT_OPENED"))["audit"]
    assert (row["targetId"], row["details"]) == ("acct_developer_bonus", {"displayName": "Bonus"})
    assert len(body(api.as_tenant("tenant_b").get("/ops/ledger/accounts"))["accounts"]) == 12


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"accountId": "acct_cash"}, (409, "LEDGER_ACCOUNT_EXISTS")),
        ({"accountId": "acct_mine"}, (409, "LEDGER_ACCOUNT_EXISTS")),
        ({"accountId": "wallet:tenant_a:w:available"}, (400, "SCHEMA_INVALID")),
        ({"accountId": "acct_"}, (400, "SCHEMA_INVALID")),
        ({"accountId": "acct_Mine"}, (400, "SCHEMA_INVALID")),
        ({"accountId": 5}, (400, "SCHEMA_INVALID")),
        ({"accountId": "acct_x", "displayName": "x" * 201}, (400, "SCHEMA_INVALID")),
        ({}, (400, "SCHEMA_INVALID")),
    ],
)
def test_an_account_that_is_there_or_badly_named_is_refused(api, clocked, given, answer):
    api.post("/ops/ledger/accounts", {"accountId": "acct_mine"})
    assert refusal(api.post("/ops/ledger/accounts", given)) == answer


def test_a_listed_account_that_nobody_used_yet_is_there_once(api, clocked):
    before = body(api.get("/ops/ledger/accounts"))["accounts"]
    api.post("/ops/ledger/entries", wanted())  # makes the accounts' rows
    after = body(api.get("/ops/ledger/accounts"))["accounts"]
    assert [row["accountId"] for row in before] == [row["accountId"] for row in after]
    assert {row["createdAt"] for row in before} == {None}
    assert {row["isOwn"] for row in after} == {False}
