"""Configurations of the customer portal: what a customer may do there. One is the default."""

from settld.stripe_simulator.errors import StripeError, missing
from settld.stripe_simulator.params import Params, within
from settld.stripe_simulator.resources import checkout_params
from settld.stripe_simulator.resources.changes import Change, make
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Call, Origin, World

KIND = "billing_portal.configuration"
PARAMS = ("business_profile", "default_return_url", "features", "login_page", "metadata", "name")
UPDATES = ("address", "email", "name", "phone", "shipping", "tax_id")
PRORATIONS = ("always_invoice", "create_prorations", "none")


def default(world: World) -> Json:
    """The default configuration, made when it is first needed: everything is allowed."""
    found = world.store.select(Selection(kind=KIND, labels={"is_default": ["true"]}), limit=1)
    return (
        found[0]
        if found
        else _insert(world, sample("portal_configuration"), is_default=True, origin=PROVIDER)
    )


def _insert(world: World, body: Json, *, is_default: bool, origin: Origin) -> Json:
    now = world.clock.now()
    body.update(id=world.ids.next("bpc"), created=now, updated=now, is_default=is_default)
    labels = {"is_default": _flag(is_default), "active": "true"}
    make(world, body=body, origin=origin, labels=labels, event_type=f"{KIND}.created")
    return body


def _flag(value: bool) -> str:
    return "true" if value else "false"


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=PARAMS)
    if not params.has("features"):
        raise checkout_params.missing_param("features")
    body = sample("portal_configuration")
    for feature in body["features"].values():
        feature["enabled"] = False
    body["metadata"] = params.metadata({})
    _fill_in(world, body, params)
    return _insert(world, body, is_default=False, origin=call.origin)


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PARAMS, "active"))
    body = find(world, call.names["id"])
    change = Change(body)
    if (active := params.boolean("active")) is not None:
        if not active and body["is_default"]:
            raise StripeError("You cannot deactivate the default configuration.", param="active")
        body["active"] = active
    body["metadata"] = params.metadata(body["metadata"])
    _fill_in(world, body, params)
    if body != change.before:
        body["updated"] = world.clock.now()
    if change.keep(world, origin=call.origin, event_type=f"{KIND}.updated"):
        world.store.relabel(kind=KIND, object_id=body["id"], name="active", values=[_flag(body["active"])])
    return body


def _fill_in(world: World, body: Json, params: Params) -> None:
    body["name"] = params.clearable_text("name", body["name"])
    if params.has("default_return_url"):
        emptied = params.form["default_return_url"] == ""
        body["default_return_url"] = None if emptied else checkout_params.url(params, "default_return_url")
    with within("business_profile"):
        names = ("headline", "privacy_policy_url", "terms_of_service_url")
        told = Params(params.mapping("business_profile") or {}, allowed=names)
        profile = body["business_profile"]
        body["business_profile"] = {name: told.clearable_text(name, profile[name]) for name in names}
    with within("login_page"):
        login = Params(params.mapping("login_page") or {}, allowed=("enabled",))
        if login.boolean("enabled"):
            raise StripeError("The simulator has no login page.", param="enabled")
    with within("features"):
        _read_features(
            world, body["features"], Params(params.mapping("features") or {}, allowed=body["features"])
        )


def _read_features(world: World, features: Json, params: Params) -> None:
    for name, feature in features.items():
        form = params.mapping(name)
        if form is None:
            continue
        allowed = {*feature, "products"} if name == "subscription_update" else feature.keys()
        with within(name):
            told = Params(form, allowed=allowed)
            if (enabled := told.boolean("enabled")) is not None:
                feature["enabled"] = enabled
            if name == "customer_update" and told.has("allowed_updates"):
                feature["allowed_updates"] = [
                    _one_of(value, UPDATES) for value in told.strings("allowed_updates")
                ]
            if name == "subscription_cancel":
                feature["mode"] = told.choice("mode", ("at_period_end", "immediately")) or feature["mode"]
            if name in ("subscription_cancel", "subscription_update"):
                prorates = told.choice("proration_behavior", PRORATIONS)
                feature["proration_behavior"] = prorates or feature["proration_behavior"]
            if name == "subscription_update":
                _read_update(world, feature, told)


def _read_update(world: World, feature: Json, told: Params) -> None:
    if told.has("default_allowed_updates"):
        named = told.strings("default_allowed_updates")
        feature["default_allowed_updates"] = [
            _one_of(value, ("price", "promotion_code", "quantity")) for value in named
        ]
    if told.has("products"):
        products = []
        for number, form in enumerate(told.hashes("products")):
            with within(f"products[{number}]"):
                inner = Params(form, allowed=("prices", "product"))
                prices = inner.strings("prices")
                for price_id in prices:
                    if world.store.get(kind="price", object_id=price_id) is None:
                        raise missing(noun="price", object_id=price_id, param="prices", status=400)
                products.append(
                    {"product": inner.required_text("product"), "prices": prices, "adjustable_quantity": None}
                )
        feature["products"] = products


def _one_of(value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise StripeError(f"Invalid value: must be one of {', '.join(choices)}")
    return value


def find(world: World, configuration_id: str, *, param: str = "configuration", status: int = 404) -> Json:
    body = world.store.get(kind=KIND, object_id=configuration_id)
    if body is None:
        raise missing(noun="configuration", object_id=configuration_id, param=param, status=status)
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "active", "is_default"))
    flags = ((name, params.boolean(name)) for name in ("active", "is_default"))
    labels = {name: [_flag(flag)] for name, flag in flags if flag is not None}
    return page(world, params, kind=KIND, url="/v1/billing_portal/configurations", labels=labels)


ROUTES = (
    ("GET", "/v1/billing_portal/configurations", list_all),
    ("POST", "/v1/billing_portal/configurations", create),
    ("GET", "/v1/billing_portal/configurations/{id}", retrieve),
    ("POST", "/v1/billing_portal/configurations/{id}", update),
)
