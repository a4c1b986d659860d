"""Drawing one step after another, and asking after each whether everything still holds."""

import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import logging
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.urls import resolve

from moneyrails.services import submission
from settld.core import clock, ids
from settld.outbox import bell as outbox_bell
from settld.outbox.services import leases as outbox_leases
from settld.stripe_gateway.services import bell as stripe_bell
from settld.stripe_simulator.webhooks.queue import Due
from tests.simulation import machines, nature, people, timeline
from tests.simulation.books import Books, opened
from tests.simulation.checks import Broken, Checks
from tests.simulation.fates import LONGEST_STALL_SECONDS, Fate, Fates
from tests.simulation.provider import INTAKE, SECRET, Provider, connected
from tests.simulation.timeline import Timeline
from tests.support.api import SCOPES
from tests.support.employees import employ
from tests.support.factories import provider as rail
from tests.support.factories import rails

TOKEN = "tok_simulation"
PEOPLE = ("ann", "bob")  # each with a key of their own in each tenant
CALLERS = ("ops", *PEOPLE)
# Routes that are still being built: their steps join when they are there.
WAITS_FOR = {
    "find_out": people.UNKNOWN,
    "decide": "/ops/approvals",
    "tend_accounts": f"{people.ACCOUNTS}/sync",
    "forgive": "/ops/finance/money-rails/chargebacks/adjustments",
}
EXPECTED = (200, 201, 202, 409, 502, 503)
AUDIT_EVERY = 100
Step = Callable[["Simulation"], None]
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Reply:
    status: int
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclasses.dataclass
class Sent:
    """A request that somebody may send again; `raw` is the 2xx that its key must bring back."""

    method: str
    path: str
    body: Any
    tenant: str
    who: str
    key: str | None
    raw: bytes = b""


class Failed(AssertionError):
    """The simulation found something; the text tells the seed, the step and the way there."""


class Simulation:
    """One seed's world and its history."""

    providers = ("stripe_sim", "stub_default", "bank_wire")

    def __init__(
        self, *, seed: int, books: Books, provider: Provider, timeline: Timeline, fates: Fates
    ) -> None:
        self.seed, self.books, self.provider, self.timeline, self.fates = (
            seed,
            books,
            provider,
            timeline,
            fates,
        )
        self.draw = Random(seed)
        self.tenants = [f"tenant_{seed}_{letter}" for letter in "abc"]
        self.parties = [f"p{number}" for number in range(6)]
        self.periods = [f"{2024 + month // 12}-{month % 12 + 1:02d}" for month in range(16, 26)]
        self.checks = Checks(books, provider)
        self.client = Client(raise_request_exception=False)
        self.sent: deque[Sent] = deque(maxlen=60)
        self.errors: deque[str] = deque(maxlen=5)
        self.log: deque[str] = deque(maxlen=60)
        self.digest = hashlib.sha256()
        self.done: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.keys: dict[tuple[str, str], str] = {}
        self.number = 0
        self.depth = 0
        self.in_hand = ""
        self.listener: Callable[[str], None] | None = None
        self.deaths, self.stalls = 0.15, 0.15
        self.is_troubled = True
        self._notes: list[str] = []
        drawn = [
            (weight, step)
            for weight, step in (*people.STEPS, *machines.STEPS, *nature.STEPS)
            if self.knows(WAITS_FOR.get(step.__name__))
        ]
        self._weights, self._steps = [weight for weight, _ in drawn], [step for _, step in drawn]
        fates.while_stalled = self._meanwhile

    def only(self, **weights: int) -> None:
        """Draw these steps alone, to look hard at what they lead to."""
        self._weights = [weights.get(step.__name__, 0) for step in self._steps]

    # --- Steps -----------------------------------------------------------------------------------------
    def run(self, steps: int, *, to_the_end: bool = True) -> None:
        """Do so many steps, then let everything come to rest; raises Failed."""
        from tests.simulation import ending

        try:
            self._settle_in()
            while self.number < steps:
                self.step()
            if to_the_end:
                ending.come_to_rest(self)
        except (Exception, Broken) as error:
            raise Failed(self._story(error)) from error

    def _settle_in(self) -> None:
        for party in self.parties:
            self.provider.control("POST", f"/_sim/accounts/{self.account_of(party)}", preset="verified")
        policy = {"enabled": True, "negativeBalanceMode": "net"}
        for tenant in self.tenants:
            rules = {"realMoneyEnabled": True, "chargebacks": policy, "fourEyes": tenant == self.tenants[2]}
            self.call("PUT", people.PLAN, {"moneyRails": rules}, tenant=tenant, who="ops")
        for name in PEOPLE:
            made = employ(f"{name}_{self.seed}", self.tenants, now=self.timeline.now)
            self.keys |= {(name, tenant): key for tenant, key in made.items()}
        people.connect(self)
        for _ in range(8):
            people.state_a_month(self)
        machines.close_requested(self)

    def step(self) -> None:
        """Draw a step and its fate, do it, and check everything."""
        [step] = self.draw.choices(self._steps, self._weights)
        fate = None
        chance = self.draw.random()
        if self.depth == 0 and self.is_troubled and chance < self.deaths + self.stalls:
            fate = Fate("death" if chance < self.deaths else "stall", self.draw.randint(1, 6))
        self.do(step, fate)

    def do(self, step: Step, fate: Fate | None = None) -> None:
        """Do one step, under a fate, and check everything."""
        self.number += 1
        name = getattr(step, "__name__", "run")
        number, began_at, outer = self.number, self.timeline.now, self._notes
        self._notes = []
        stopped, sends = self.checks.stopped(), len(self.provider.sends)
        try:
            with self.fates.over(fate):
                step(self)
            befell = self.fates.latest
        finally:
            line = f"{number:>6} {began_at:%m-%d %H:%M:%S} {'  ' * self.depth}{name}: "
            if fate is not None and self.fates.latest:
                self._notes.append(f"[{self.fates.latest}]")
            self._write(line + "; ".join(self._notes))
            self._notes = outer
        self.done[name] += 1
        self.checks.all(now=self.timeline.now)
        if not befell.startswith("stall"):
            self._nothing_left_while_stopped(stopped, sends)
        if self.number % AUDIT_EVERY == 0:
            self.checks_of_the_day()

    def _meanwhile(self, point: str) -> None:
        """A piece of work stalls: time passes and others act."""
        seconds = self.draw.choice((0, 0, 5, 70, 130, 400, 4_000, 90_000))
        self.timeline.pass_by(min(seconds, LONGEST_STALL_SECONDS.get(point, seconds)))
        self.depth += 1
        try:
            for _ in range(self.draw.randint(1, 4)):
                self.step()
        except Exception as error:
            raise Broken(f"others stumbled: {error!r}") from error
        finally:
            self.depth -= 1

    def _nothing_left_while_stopped(self, before: dict[str, bool], sends: int) -> None:
        after = self.checks.stopped()
        for sent in self.provider.sends[sends:]:
            for tenant, is_stopped in before.items():
                if is_stopped and after[tenant] and f"settld_tenant_id]={tenant}" in sent:
                    raise Broken(f"a transfer was asked for while {tenant} was stopped")

    def checks_of_the_day(self) -> None:
        """What is too dear for every step."""
        for tenant in self.tenants:
            verdict = self.call("GET", "/ops/audit/verify", tenant=tenant, who="ops").json
            if not verdict["ok"]:
                raise Broken(f"the audit chain of {tenant} is broken: {verdict}")

    def knows(self, path: str | None) -> bool:
        """Tell whether the product has a route."""
        return path is None or resolve(path).route != resolve("/ops/no-such-route").route

    @property
    def can_settle(self) -> bool:
        """Tell whether the product lets a person settle an unknown outcome yet."""
        return self.knows(WAITS_FOR["find_out"])

    def settle(self, operation: Row) -> None:
        """Have somebody who did not submit it settle an unknown outcome by what the provider shows."""
        if not self.can_settle:
            return
        tenant, queue = operation["tenant_id"], people.UNKNOWN
        rows = self.call("GET", queue, tenant=tenant, who="ops").json["unknownOutcomes"]
        [row] = [row for row in rows if row["operationId"] == operation["operation_id"]]
        body = people.verdict(self, operation["operation_id"])
        path = f"{queue}/{row['attemptId']}/settle"
        answers = [
            self.call("POST", path, body, tenant=tenant, who=who, key=None, may=(403,)) for who in PEOPLE
        ]
        if all(answer.status != 200 for answer in answers):
            self.breaks(
                f"nobody can settle {operation['operation_id']}: {[answer.raw for answer in answers]}"
            )

    # --- What steps use ----------------------------------------------------------------------------------
    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        tenant: str,
        who: str = "",
        key: str | None = "",
        may: tuple[int, ...] = (),
    ) -> Reply:
        """Send a request to the API; an answer that nobody expects breaks the run."""
        who = who or self.draw.choice(CALLERS)
        if key == "":
            key = f"k{self.number}_{self.draw.randint(1, 10**9)}" if self.draw.random() < 0.8 else None
        sent = Sent(method, path, body, tenant, who, key if method != "GET" else None)
        if method != "GET":
            self.sent.append(sent)
        headers = {"x-proxy-tenant-id": tenant, "x-request-id": f"sim_{self.number}"}
        if who == "ops":
            headers["x-proxy-ops-token"] = TOKEN
        else:
            headers["x-proxy-api-key"] = self.keys[who, tenant]
        if sent.key:
            headers["x-idempotency-key"] = sent.key
        content = b"" if body is None else json.dumps(body).encode()
        self.note(f"{who} of {tenant[-1]}: {method} {path.removeprefix('/ops/')} {content.decode()[:300]}")
        answer = self.client.generic(method, path, content, content_type="application/json", headers=headers)
        reply = Reply(answer.status_code, bytes(answer.content))
        code = "" if reply.status < 400 else reply.json.get("code", "")
        self.note(f"-> {reply.status} {code}")
        self.answers[f"{reply.status} {code}".strip()] += 1
        if reply.status not in EXPECTED + may:
            self.breaks(
                f"{method} {path} answered {reply.status}: {reply.raw[:500]!r} {list(self.errors)[-1:]}"
            )
        if sent.key and reply.status < 300:
            sent.raw = reply.raw
        return reply

    def deliver(self, letter: Due) -> int:
        """Bring a letter to our door."""
        payload, headers = self.provider.sealed(letter)
        content_type = headers.pop("Content-Type")
        answer = self.client.generic("POST", INTAKE, payload, content_type=content_type, headers=headers)
        self.note(f"{letter.event_id} -> {answer.status_code}")
        if answer.status_code != 200:
            self.breaks(f"an authentic letter was refused: {answer.content[:300]!r} {list(self.errors)[-1:]}")
        return int(answer.status_code)

    def pick(self, **wanted: Any) -> Row | None:
        """Draw an operation; None when there is none such.

        Others meet the one that a stalled piece of work is about, and payouts that repay a debt are drawn
        more often than they are made: there the rules are hardest to keep.
        """
        found = [
            row
            for row in self.books.operations()
            if all(row[name] == value for name, value in wanted.items())
        ]
        chance = self.draw.random()
        in_hand = [row for row in found if row["operation_id"] == self.in_hand]
        repaying = [row for row in found if row["recovery_applied_cents"]]
        if self.depth and in_hand and chance < 0.6:
            found = in_hand
        elif repaying and chance > 0.7:
            found = repaying
        if not found:
            return None
        chosen = self.draw.choice(found)
        if not self.depth:
            self.in_hand = chosen["operation_id"]
        return chosen

    def any_tenant(self) -> str:
        return self.draw.choice(self.tenants)

    def any_period(self) -> str:
        return self.draw.choice(self.periods)

    def any_subject(self) -> tuple[str, str, str]:
        return self.any_tenant(), self.draw.choice(self.parties), self.any_period()

    def account_of(self, party: str) -> str:
        return f"acct_{party}"

    def iso_in(self, *, days: int) -> str | None:
        return clock.iso(self.timeline.now + dt.timedelta(days=days))

    # --- The story ---------------------------------------------------------------------------------------
    def note(self, text: str) -> None:
        self._notes.append(text)

    def breaks(self, text: str) -> None:
        """Say that something happened that must not."""
        raise Broken(text)

    def _write(self, line: str) -> None:
        self.digest.update(line.encode() + b"\n")
        self.log.append(line)
        if self.listener is not None:
            self.listener(line)

    def _story(self, error: BaseException) -> str:
        return "\n".join(
            [
                f"seed {self.seed}, step {self.number}: {type(error).__name__}: {error}",
                f"again: python -m tests.simulation --seed {self.seed} --steps {self.number}",
                *self.log,
            ]
        )

    def keep_error(self, _logger: Any, method: str, event: Any) -> Any:
        """Hear what the product logs; only errors are kept."""
        if method in ("error", "exception", "critical"):
            self.errors.append(repr({name: event[name] for name in sorted(event)})[:1500])
        raise structlog.DropEvent


@contextlib.contextmanager
def simulated(*, seed: int, database: str) -> Iterator[Simulation]:
    """Build a world in this process and database; everything outside is as before afterwards."""
    fates = Fates()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="settld-simulation-")))
        line = stack.enter_context(timeline.virtual())
        stack.enter_context(override_settings(**_settings()))
        provider = Provider(folder=folder, seed=seed, timeline=line, fates=fates)
        books = stack.enter_context(opened(database))
        simulation = Simulation(seed=seed, books=books, provider=provider, timeline=line, fates=fates)
        stack.enter_context(_quiet(simulation))
        stack.enter_context(connected(provider, Random(seed)))
        stack.enter_context(fates.reigning())
        try:
            yield simulation
        finally:
            connection.close()


def _settings() -> dict[str, Any]:
    own = rails(rail("stub_third", allow_payout=False))
    return {
        "OPS_TOKENS": {TOKEN: SCOPES},
        "MONEY_RAILS": own,
        "RATE_LIMITS": {"ip": None, "tenant": None, "api_key": None},
        "STRIPE": dataclasses.replace(
            settings.STRIPE,
            api_base_url="http://stripe.simulation",
            secret_key="sk_test_simulation",
            webhook_secrets=(SECRET,),
        ),
    }


class _Drawn:
    """Stands for what row ids are made of, so that an equal seed makes equal ids."""

    def __init__(self, simulation: Simulation) -> None:
        self._draw, self._timeline = Random(simulation.seed), simulation.timeline

    def urandom(self, size: int) -> bytes:
        return self._draw.randbytes(size)

    def time_ns(self) -> int:
        return int(self._timeline.now.timestamp() * 1000) * 1_000_000


@contextlib.contextmanager
def _quiet(simulation: Simulation) -> Iterator[None]:
    """No bell rings (they only save waiting), nobody waits for a twin in real time, logs are heard by us."""
    logging.disable(logging.CRITICAL)
    changed: list[tuple[Any, str, Any]] = [
        (outbox_bell, "_ring", lambda *_: None),
        (stripe_bell, "ring", lambda: None),
        (outbox_leases, "random", Random(simulation.seed)),
        (submission, "WAIT_FOR_TWIN_SECONDS", 0.0),
        (ids, "os", _Drawn(simulation)),
        (ids, "time", _Drawn(simulation)),
        (ids, "_last_stamp", 0),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in changed]
    processors = structlog.get_config()["processors"]
    heard = list(processors)
    processors[:] = [structlog.processors.format_exc_info, simulation.keep_error]
    for module, name, value in changed:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        processors[:] = heard
        logging.disable(logging.NOTSET)
