import time, os
from tests.reconciliation.books import *
def test_scale(books):
    from django.db import connection
    N=int(os.environ.get("N","100000"))
    o=books.pay("p_seed")
    with connection.cursor() as c:
        key="'tenant_books:party:p'||g||':period:2026-02:statement:'||md5(g::text)||md5(g::text)"
        c.execute("SET session_replication_role=origin") if 0 else None
        c.execute(f"INSERT INTO artifact (id,tenant_id,artifact_id,artifact_type,artifact_hash,body,period,payout_key,amount_cents,currency,signature_key_id,signature_base64,created_at) SELECT gen_random_uuid(),'tenant_books','payout_'||g,'PayoutInstruction.v1',md5(g::text)||md5(g::text),'{{\"partyId\":\"p'||g||'\"}}'||repeat(' ',900),'2026-02',{key},1000,'USD','','',now() FROM generate_series(1,{N}) g")
        cols=[f.column for f in Operation._meta.fields]
        skip={"id","operation_id","payout_key","party_id","statement_hash","provider_ref","amount_cents"}
        rest=[x for x in cols if x not in skip]
        c.execute(f"INSERT INTO money_rail_operation (id,operation_id,payout_key,party_id,statement_hash,provider_ref,amount_cents,{','.join(rest)}) SELECT gen_random_uuid(),'mop_'||{key},{key},'p'||g,md5(g::text)||md5(g::text),'tr_'||g,CASE WHEN g%%200=0 THEN 999 ELSE 1000 END,{','.join(rest)} FROM money_rail_operation o, generate_series(1,{N}) g WHERE o.id=%s", [o.pk])
        cols=[f.column for f in PartyStatement._meta.fields]; rest=['"'+x+'"' for x in cols if x not in {"id","party_id","statement_hash","artifact_hash","artifact_id"}]
        c.execute(f"INSERT INTO party_statement (id,party_id,statement_hash,artifact_hash,artifact_id,{','.join(rest)}) SELECT gen_random_uuid(),'p'||g,md5(g::text)||md5(g::text),md5(g::text)||md5(g::text),'ps'||g,{','.join(rest)} FROM party_statement s, generate_series(1,{N}) g WHERE s.party_id='p_seed'")
        cols=[f.column for f in Movement._meta.fields]; rest=[x for x in cols if x not in {"id","operation_id","reference_id","provider_ref"}]
        c.execute(f"INSERT INTO movement (id,operation_id,reference_id,provider_ref,{','.join(rest)}) SELECT gen_random_uuid(),o.id,o.payout_key,o.provider_ref,{','.join('m.'+r for r in rest)} FROM movement m, money_rail_operation o WHERE o.party_id<>'p_seed'")
        t=time.time(); c.execute("""SELECT count(*) FROM artifact a FULL OUTER JOIN (SELECT * FROM money_rail_operation WHERE tenant_id='tenant_books' AND period='2026-02') o ON a.payout_key=o.payout_key WHERE a.amount_cents IS DISTINCT FROM o.amount_cents"""); print("floor",time.time()-t, c.fetchall())
        if os.environ.get("ANALYZE"):
            from settld.core import tenancy
    for i in range(2):
        t=time.time(); r=books.reconcile(); print("reconcile",time.time()-t, r.core["summary"]["criticalMismatchCount"], r.core["summary"]["matchedCount"])
    from reconciliation.queries.comparison_sql import COMPARISON
    with connection.cursor() as c:
        c.execute("EXPLAIN (ANALYZE, COSTS OFF, TIMING ON) "+COMPARISON, dict(tenant_id=TENANT,period=PERIOD,provider_id="stub_default",default_provider_id="stub_default",now=NOW,doubtful_before=NOW))
        print("\n".join(r[0] for r in c.fetchall()))
    t=time.time(); books.reconcile(persist=True); print("persist",time.time()-t)
    t=time.time(); books.reconcile(persist=True); print("persist",time.time()-t)
