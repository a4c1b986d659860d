"""HTML from string templates: every value is escaped unless it is `Markup` already."""

from functools import cache
from html import escape
from importlib import resources
from string import Template

from settld.stripe_simulator.wire import Answer

# No script runs and nothing is fetched from anywhere. `form-action` stays open: browsers apply it to where a
# paid checkout redirects to as well, and that is the merchant's site.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# Minor units per unit are a hundred, but for these.
WITHOUT_CENTS = frozenset(
    (
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    )
)
WITH_THOUSANDTHS = frozenset(("bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"))


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


@cache
def _template(name: str) -> Template:
    folder = resources.files("settld.stripe_simulator").joinpath("pages")
    return Template(folder.joinpath(f"{name}.html").read_text("utf-8"))


def fill(template: str, /, **values: object) -> Markup:
    """A template of this folder with its `$names` filled in; a name without a value is an error."""
    texts = {key: value if isinstance(value, Markup) else escape(str(value)) for key, value in values.items()}
    return Markup(_template(template).substitute(texts))


def join(parts: list[Markup]) -> Markup:
    return Markup("\n".join(parts))


def optional(template: str, wanted: object, /, **values: object) -> Markup:
    """The filled template, or nothing."""
    return fill(template, **values) if wanted else Markup("")


def page(*, title: str, body: Markup, status: int = 200) -> Answer:
    text = fill("base", title=title, body=body)
    return Answer(status=status, body=text.encode(), headers=HEADERS)


def redirect(url: str) -> Answer:
    """See Other: a reload of where one lands sends no form again."""
    return Answer(status=303, body=b"", headers={**HEADERS, "Location": url})


def money(amount: int | None, currency: str | None) -> str:
    """`12.34 USD`: minor units by the currency's own exponent."""
    code = (currency or "").lower()
    places = 0 if code in WITHOUT_CENTS else 3 if code in WITH_THOUSANDTHS else 2
    amount = amount or 0
    sign, digits = "-" if amount < 0 else "", str(abs(amount)).rjust(places + 1, "0")
    whole = f"{int(digits[: len(digits) - places]):,}"
    cents = f".{digits[len(digits) - places :]}" if places else ""
    return f"{sign}{whole}{cents} {code.upper()}"


def every(recurring: dict[str, object] | None) -> str:
    """`month`, `3 months`; empty for a price of one time."""
    if not recurring:
        return ""
    count, interval = recurring["interval_count"], recurring["interval"]
    return str(interval) if count == 1 else f"{count} {interval}s"


def notice(
    *, title: str, message: str, status: int = 200, more: Markup | None = None, good: bool = False
) -> Answer:
    """A page that only says something, with perhaps a link or a form below."""
    kind = "good" if good else "bad"
    body = fill("notice", kind=kind, title=title, message=message, more=more or Markup(""))
    return page(title=title, body=body, status=status)
