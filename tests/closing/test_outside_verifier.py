"""Every document of a close, recomputed by somebody who has only the specification and what the API serves.

spec/settld-billing-and-finance.md 0.4, 5.3, 5.4. Nothing of the product's own hashing is used here.
"""

import csv
import hashlib
import io
import json
import random
from collections import defaultdict
from urllib.parse import quote

from settld.artifacts.models import Artifact
from settld.core import tenancy
from tests.closing.general_book import TENANT, instant, post
from tests.support.api import body

JAN = "2026-01"
PARTIES = [
    ("pty_operator:a", "operator"), ("pty_operator:a", "subcontractor"),
    ("pty_operator:\U0001f600", "operator"), ("pty_operator:\ufb01", "operator"),
    ("=cmd|x", "operator"), ('+a,"b"', "operator"),
    ("-x", "operator"), ("@y", "owner"), ("pty/sl ash%", "operator"), ("pty_platform", "platform"),
]  # fmt: skip
MEMOS = [
    "job:r1 SETTLED", "job:- FUNDED", "=1+1", "+x", "-y", "@z", "\ttab", "a,b", 'say "hi"',
    "line\nbreak", "cr\rx", "'q", "job:x", "job: two", "job:=cmd rest", "\u2028", "\x7f\x01", "",
    "job:r\U0001f600 X",
]  # fmt: skip
CURRENCIES = ["USD", "EUR", "JPY", "POINTS_ABC12"]
ACCOUNTS = [
    "acct_operator_payable", "acct_owner_payable", "acct_platform_revenue", "acct_customer_credits_payable",
    "acct_customer_escrow",
]  # fmt: skip
PAY, FEES, CREDITS = ACCOUNTS[:2], ACCOUNTS[2:3], ACCOUNTS[3:4]


def units(text):
    return text.encode("utf-16-be")


def canonical(value):
    if isinstance(value, dict):
        names = sorted(value, key=units)
        return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def sha(value):
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def require_hash(document):
    assert (
        sha({name: document[name] for name in document if name != "artifactHash"}) == document["artifactHash"]
    )


def a_month(chance):
    """Post entries with awkward names; gives what each share and each entry must say."""
    shares, said = [], {}
    for number in range(60):
        entry_id = chance.choice(["e", "E", "jnl_", "\U0001f600", "\ufb01"]) + str(number)
        currency, memo = chance.choice(CURRENCIES), chance.choice(MEMOS)
        at = instant(JAN, chance.randint(1, 28), chance.randint(0, 23))
        amounts = [chance.choice([-1, 1]) * chance.randint(1, 900) for _ in range(chance.randint(1, 11))]
        amounts += [-sum(amounts)] if sum(amounts) else [5, -5]
        lines = [(chance.choice(ACCOUNTS), cents, *chance.choice(PARTIES)) for cents in amounts]
        post(entry_id, lines, at=at, memo=memo, currency=currency)
        said[entry_id] = (memo, at.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        shares += [
            {"entryId": entry_id, "postingId": f"p{no}", "accountId": account, "partyId": party,
             "partyRole": role, "currency": currency, "amountCents": cents}
            for no, (account, cents, party, role) in enumerate(lines)
        ]  # fmt: skip
    names = ("entryId", "postingId", "partyId", "partyRole")
    return sorted(shares, key=lambda share: [units(share[name]) for name in names]), said


def totals(shares, name):
    found = defaultdict(int)
    for share in shares:
        found[share[name]] += share["amountCents"]
    return dict(found)


def all_of(shares):
    by_account = totals(shares, "accountId")
    return {"totalCents": sum(by_account.values()), "totalsByAccountId": by_account,
            "totalsByPartyId": totals(shares, "partyId")}  # fmt: skip


def test_whoever_recomputes_a_close_from_the_specification_comes_to_the_same(books, api):
    mapping = {
        "schemaVersion": "FinanceAccountMap.v1",
        "accounts": {name: f'x,{name}"q' for name in ACCOUNTS},
    }
    assert body(api.put("/ops/finance/account-map", mapping)) == {"ok": True, "mappingHash": sha(mapping)}
    shares, said = a_month(random.Random(7))
    event = body(books.close())["event"]

    batch = body(api.get(f"/ops/finance/gl-batch?period={JAN}"))["artifact"]
    require_batch(batch, shares, said)
    listed = body(api.get(f"/ops/party-statements?period={JAN}&limit=1000"))["statements"]
    for row in listed:
        require_statement(api, row, shares, event)
    require_instructions(listed, event)
    require_csv(api, batch, mapping)
    answer = body(api.get(f"/ops/finance/reconcile?period={JAN}"))
    keys = {(share["partyId"], share["accountId"], share["currency"]) for share in shares}
    expected = {"ok": True, "period": JAN, "basis": "settledAt", "totalsKeys": len(keys), "entryCount": 60}
    assert answer["reconcile"] == expected
    assert answer["reportHash"] == hashlib.sha256((canonical(expected) + "\n").encode()).hexdigest()


def require_batch(batch, shares, said):
    require_hash(batch)
    lines = batch["batch"]["lines"]
    assert [{name: line[name] for name in shares[0]} for line in lines] == shares
    for line in lines:
        assert (line["memo"], line["at"]) == said[line["entryId"]]
        assert line["lineId"] == f"{line['entryId']}:{line['postingId']}:{line['partyId']}"
        head, space, _ = line["memo"].removeprefix("job:").partition(" ")
        has_job = line["memo"].startswith("job:") and space and head not in ("", "-")
        assert line["jobId"] == (head if has_job else None)
    of = {name: all_of([one for one in shares if one["currency"] == name]) for name in CURRENCIES}
    assert batch["batch"]["totals"] == of.pop("USD") | {"byCurrency": of}


def require_statement(api, row, shares, event):
    party_id, role, currency = row["partyId"], row["partyRole"], row["currency"]
    path = f"/ops/party-statements/{quote(party_id, safe='')}/{JAN}?partyRole={role}&currency={currency}"
    document = body(api.get(path))["artifact"]
    require_hash(document)
    own = [
        share for share in shares
        if (share["partyId"], share["partyRole"], share["currency"]) == (party_id, role, currency)
    ]  # fmt: skip
    by_account, said = totals(own, "accountId"), document["statement"]
    pay, fees, credited = (-sum(by_account.get(name, 0) for name in names) for names in (PAY, FEES, CREDITS))
    expected = {
        "allocationDigest": sha(own), "allocationCount": len(own), "totalsByAccountId": by_account,
        "includedEntryIds": sorted({share["entryId"] for share in own}, key=units),
        "balanceDeltaCents": sum(by_account.values()), "feesCents": fees, "periodPayoutCents": pay,
        "creditsCents": credited, "netCents": fees + pay + credited, "payoutCents": pay,
        "payableCarryInCents": 0, "payableCarryOutCents": min(0, pay), "payableAfter": None, "references": [],
    }  # fmt: skip
    assert {name: said[name] for name in expected} == expected
    roles = {share["partyRole"] for share in shares if share["partyId"] == party_id}
    name = f"pstmt_{TENANT}_{party_id}_{JAN}_{event['id']}" + (f"_{role}" if len(roles) > 1 else "")
    assert document["artifactId"] == name + ("" if currency == "USD" else f"_{currency}")
    assert row["statementHash"] == document["artifactHash"]


def require_instructions(listed, event):
    with tenancy.tenant_scope(TENANT):
        every = [row.document for row in Artifact.objects.filter(tenant_id=TENANT)]
    for document in every:
        require_hash(document)
    found = {
        document["statementHash"]: (document["payout"], document["sourceEventId"])
        for document in every
        if document.get("artifactType") == "PayoutInstruction.v1"
    }
    assert found == {
        row["statementHash"]: (
            {"currency": row["currency"], "amountCents": row["payoutCents"], "destinationRef": None},
            event["id"],
        )
        for row in listed
        if row["payoutCents"] > 0 and row["partyRole"] in ("operator", "subcontractor")
    }


def require_csv(api, batch, mapping):
    text = api.get(f"/ops/finance/gl-batch.csv?period={JAN}").content.decode()
    assert text.endswith("\n")

    def guarded(value):
        return "'" + value if value and value[0] in "=+-@\t" else value or ""

    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert rows[1:] == [
        ["JournalCsv.v1", TENANT, JAN, "settledAt", batch["artifactHash"], line["entryId"], line["postingId"],
         line["at"], guarded(line["partyId"]), line["partyRole"], line["accountId"],
         mapping["accounts"][line["accountId"]], str(max(line["amountCents"], 0)),
         str(max(-line["amountCents"], 0)), line["currency"], guarded(line["jobId"]), guarded(line["memo"])]
        for line in batch["batch"]["lines"]
    ]  # fmt: skip
    with tenancy.tenant_scope(TENANT):
        kept = Artifact.objects.get(tenant_id=TENANT, artifact_type="JournalCsv.v1").document
    assert (kept["csv"], kept["csvSha256"]) == (text, sha({"csv": text}))
