"""One API call from its bytes to its outcome: access, faults, idempotency, the endpoint, the log."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from settld.stripe_simulator import routes, timers
from settld.stripe_simulator.access import check_key
from settld.stripe_simulator.errors import Declined, StripeError, internal_error, rate_limited
from settld.stripe_simulator.faults import Fault
from settld.stripe_simulator.forms import Form, decode, flatten
from settld.stripe_simulator.idempotency import KeyedCall, fingerprint
from settld.stripe_simulator.resources.accounts import find as find_account
from settld.stripe_simulator.resources.expansion import expanded
from settld.stripe_simulator.wire import Answer, Hang, Json, Outcome, Request, Reset
from settld.stripe_simulator.world import Call, Origin, World


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A call that has been given its request id and, perhaps, its fault."""

    request: Request
    request_id: str
    form: Form
    hash: str
    generation: int
    fault: Fault | None

    @property
    def key(self) -> str | None:
        """Keys matter on POST only; GET and DELETE are idempotent by themselves."""
        return self.request.headers.get("idempotency-key") or None if self.request.method == "POST" else None

    def meets(self, *kinds: str) -> bool:
        return self.fault is not None and self.fault.kind in kinds


def answer(world: World, request: Request) -> Outcome:
    """What becomes of one call to `/v1/...`. Safe in any number of threads."""
    visit_or_error = _arrive(world, request)
    if isinstance(visit_or_error, Answer):
        return visit_or_error
    visit = visit_or_error
    if visit.meets("timeout_before", "reset_before"):
        _log(world, visit, status=None)
        return _silence(visit)
    try:
        result = _admitted(world, visit)
    except StripeError as error:
        result = _refuse(world, visit, error)
    return _after(visit, result)


def _arrive(world: World, request: Request) -> Visit | Answer:
    with world.lock:
        request_id = world.ids.next("req")
        try:
            form = decode(request.query) | decode(request.body.decode("utf-8", "replace"))
        except StripeError as error:
            with world.transaction():
                world.log.add(
                    "call",
                    method=request.method,
                    path=request.path,
                    request=request_id,
                    status=error.status,
                )
            return _render(world, request, request_id, error.status, error.body(), error.headers)
        digest = fingerprint(method=request.method, path=request.path, form=form)
        fault = world.faults.pick(
            method=request.method, path=request.path, params=flatten(form), identity=digest
        )
        return Visit(
            request=request,
            request_id=request_id,
            form=form,
            hash=digest,
            generation=world.generation,
            fault=fault,
        )


def _admitted(world: World, visit: Visit) -> Outcome:
    """Past the door: the endpoint, under its idempotency key if it has one."""
    request = visit.request
    with world.lock:
        check_key(request.headers)
        if visit.meets("status_429"):
            raise rate_limited()
        world.rate_limit.take()
        route, names = routes.find(method=request.method, path=request.path)
        account = request.headers.get("stripe-account") or None
        if account is not None:
            _check_account(world, account, route)
        call = Call(
            method=request.method,
            path=request.path,
            form=visit.form,
            origin=Origin(request_id=visit.request_id, idempotency_key=visit.key),
            account=account,
            names=names,
        )
    if visit.key is None:
        return _execute(world, visit, call, route.endpoint, None)
    return _once(world, visit, call, route.endpoint)


def _check_account(world: World, account: str, route: routes.Route) -> None:
    find_account(world, account)
    if not route.per_account:
        message = "The simulator makes this call for the platform only; leave the Stripe-Account header out."
        raise StripeError(message, status=400)


def _once(world: World, visit: Visit, call: Call, endpoint: routes.Endpoint) -> Outcome:
    keyed = KeyedCall(scope=call.account or "", key=visit.key or "", fingerprint=visit.hash)
    with world.lock:
        keys = world.idempotency_keys
        kept = keys.begin(keyed)
    if kept is not None:
        _log(world, visit, status=kept.status, replayed=True)
        return _finish(world, visit, kept)
    try:
        return _execute(world, visit, call, endpoint, keyed)
    finally:
        with world.lock:
            keys.end(keyed)


def _execute(
    world: World, visit: Visit, call: Call, endpoint: routes.Endpoint, keyed: KeyedCall | None
) -> Outcome:
    """Effect, kept answer and log entry in one commit, before a byte is sent."""
    slow = visit.fault if visit.meets("slow") else None
    if slow and not world.pause(slow.delay_seconds, generation=visit.generation):
        return Reset()
    with world.transaction():
        if visit.generation != world.generation:
            return Reset()
        timers.run_due(world)
        try:
            status, body, headers = 200, _effect(world, visit, call, endpoint), {}
        except StripeError as error:
            if not error.executed:
                raise
            status, body, headers = error.status, error.body(), error.headers
        result = Answer(status=status, body=json.dumps(body).encode(), headers=headers)
        forgotten = visit.fault is not None and status >= 500 and not visit.fault.saved
        if keyed is not None and not forgotten:
            world.idempotency_keys.keep(keyed, answer=result, request_id=visit.request_id)
        _log(world, visit, status=status)
    return _finish(world, visit, result)


def _effect(world: World, visit: Visit, call: Call, endpoint: Callable[[World, Call], Json]) -> Json:
    if visit.meets("status_500_before"):
        raise internal_error()
    with world.store.attempt():
        body = _answer_or_decline(world, call, endpoint)
    if isinstance(body, Declined):
        raise body
    if visit.meets("status_500_after"):
        raise internal_error()
    return body


def _answer_or_decline(world: World, call: Call, endpoint: Callable[[World, Call], Json]) -> Json | Declined:
    """A decline is handed on rather than raised here: it is an error, but what it did stays done."""
    try:
        return expanded(world, call.form, endpoint(world, call))
    except Declined as declined:
        return declined


def _after(visit: Visit, result: Outcome) -> Outcome:
    """What is left of an answer on its way back."""
    if not isinstance(result, Answer) or visit.fault is None:
        return result
    if visit.meets("timeout_after", "reset_after"):
        return _silence(visit)
    if visit.meets("malformed_2xx") and result.status < 300:
        return Answer(status=result.status, body=visit.fault.body.encode(), headers=result.headers)
    return result


def _silence(visit: Visit) -> Outcome:
    if visit.fault is not None and visit.fault.kind.startswith("timeout"):
        return Hang(seconds=visit.fault.delay_seconds, generation=visit.generation)
    return Reset()


def _refuse(world: World, visit: Visit, error: StripeError) -> Answer:
    _log(world, visit, status=error.status, code=error.code)
    return _render(world, visit.request, visit.request_id, error.status, error.body(), error.headers)


def _render(
    world: World, request: Request, request_id: str, status: int, body: Json, headers: dict[str, str]
) -> Answer:
    answer = Answer(status=status, body=json.dumps(body).encode(), headers=headers)
    return _dressed(world, request, request_id, answer)


def _finish(world: World, visit: Visit, answer: Answer) -> Answer:
    return _dressed(world, visit.request, visit.request_id, answer)


def _dressed(world: World, request: Request, request_id: str, answer: Answer) -> Answer:
    headers = {
        "Content-Type": "application/json",
        "Request-Id": request_id,
        "Stripe-Version": request.headers.get("stripe-version") or world.settings.api_version,
        **answer.headers,
    }
    key = request.headers.get("idempotency-key")
    if key and request.method == "POST":
        headers["Idempotency-Key"] = key
        headers.setdefault("Original-Request", request_id)
        if answer.status >= 500:
            # The same key would only get the same answer again.
            headers["Stripe-Should-Retry"] = "false"
    return Answer(status=answer.status, body=answer.body, headers=headers)


def _log(
    world: World, visit: Visit, *, status: int | None, code: str | None = None, replayed: bool = False
) -> None:
    with world.transaction():
        if visit.generation != world.generation:
            return
        world.log.add(
            "call",
            method=visit.request.method,
            path=visit.request.path,
            params=visit.hash,
            details={"key": visit.key, "form": visit.form},
            request=visit.request_id,
            status=status,
            code=code,
            replayed=replayed,
            fault=visit.fault.kind if visit.fault else None,
        )
