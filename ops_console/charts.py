"""Where the parts of a chart lie. Whole numbers in, SVG coordinates out; templates only print them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from settld.core import money

WIDTH, HEIGHT = 500, 232
LEFT, RIGHT, TOP, BOTTOM = 46, 496, 12, 206
METER_WIDTH = 1000


@dataclass(frozen=True)
class Line:
    """A horizontal line of the grid with its amount."""

    y: float
    text_y: float
    text: str


@dataclass(frozen=True)
class Bar:
    """One day."""

    x: float
    y: float
    width: float
    height: float
    text_x: float
    text: str
    title: str
    href: str
    is_today: bool


@dataclass(frozen=True)
class DayChart:
    """Bars by day with a grid."""

    bars: list[Bar]
    lines: list[Line]
    summary: str
    caption: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    plot_height: int = BOTTOM - TOP
    label_x: int = LEFT - 8
    text_y: int = BOTTOM + 17


@dataclass(frozen=True)
class Day:
    """What one bar stands for."""

    day: dt.date
    amount_cents: int
    count: int
    href: str


def day_chart(days: Sequence[Day], *, currency: str, caption: str) -> DayChart:
    """Lay out one bar per day; the last day is today."""
    ceiling = round_up(max((day.amount_cents for day in days), default=0))
    step = (RIGHT - LEFT) / max(len(days), 1)
    bars = []
    for index, day in enumerate(days):
        height = 0.0
        if day.amount_cents:
            height = max((BOTTOM - TOP) * day.amount_cents / ceiling, 1.5)
        x = LEFT + index * step + step * 0.14
        every = 1 if len(days) <= 7 else 2
        shows_text = (len(days) - 1 - index) % every == 0
        bars.append(
            Bar(
                x=round(x, 1),
                y=round(BOTTOM - height, 1),
                width=round(step * 0.72, 1),
                height=round(height, 1),
                text_x=round(x + step * 0.36, 1),
                text=f"{day.day:%b} {day.day.day}" if shows_text else "",
                title=f"{day.day.isoformat()}: {money.show(day.amount_cents, currency)} in {day.count:,}",
                href=day.href,
                is_today=index == len(days) - 1,
            )
        )
    total = sum(day.amount_cents for day in days)
    return DayChart(
        bars=bars,
        lines=[grid_line(ceiling * part // 4, ceiling) for part in (0, 2, 4)],
        summary=f"Payout amount per day over {len(days)} days, {money.show(total, currency)} in all",
        caption=caption,
    )


def grid_line(amount_cents: int, ceiling: int, *, currency: str = "USD") -> Line:
    """Place one line of the grid with its amount."""
    y = round(BOTTOM - (BOTTOM - TOP) * amount_cents / ceiling, 1)
    return Line(y=y, text_y=y + 3.5, text=brief(amount_cents, places=money.exponent(currency)))


def round_up(amount_cents: int) -> int:
    """Give the next round number that a grid may end at; never zero."""
    ceiling = 10_000
    while True:
        for factor in (1, 2, 5):
            if ceiling * factor >= amount_cents:
                return ceiling * factor
        ceiling *= 10


def brief(amount_minor: int, *, places: int = 2) -> str:
    """Write an amount for an axis: 1.2k, 3M; what stands behind the decimal point is left out."""
    units = amount_minor // 10**places
    for size, letter in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if units >= size:
            tenths = units * 10 // size
            return f"{tenths // 10}{letter}" if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}{letter}"
    return str(units)


@dataclass(frozen=True)
class Part:
    """One stretch of a meter."""

    x: int
    width: int
    tone: str


@dataclass(frozen=True)
class Meter:
    """One bar in parts."""

    parts: list[Part]
    summary: str
    height: int = 12


def meter(amounts: Sequence[tuple[int, str]], *, whole: int, summary: str, height: int = 12) -> Meter:
    """Lay out (amount, tone) parts over a whole; what exceeds the whole is cut at its end."""
    parts: list[Part] = []
    done = 0
    for amount, tone in amounts:
        start = METER_WIDTH * min(done, whole) // max(whole, 1)
        done += amount
        end = METER_WIDTH * min(done, whole) // max(whole, 1)
        if amount and end == start:
            end = min(start + 3, METER_WIDTH)
        if end > start:
            parts.append(Part(x=start, width=end - start, tone=tone))
    return Meter(parts=parts, summary=summary, height=height)


@dataclass(frozen=True)
class Level:
    """What a balance was from an instant on."""

    at: dt.datetime
    amount_cents: int


@dataclass(frozen=True)
class Dot:
    """One change, to point at."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Label:
    """A text below the drawing."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True)
class StepChart:
    """A balance over time, level between its changes, with a grid."""

    line: str
    area: str
    dots: list[Dot]
    lines: list[Line]
    labels: list[Label]
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    label_x: int = LEFT - 8
    text_y: int = BOTTOM + 17


def step_chart(levels: Sequence[Level], *, now: dt.datetime, currency: str, what: str) -> StepChart:
    """Lay out a balance from its first change until now; the levels in their order, the last one holds on.

    An instant earlier than the one before it (a clock that stepped back) is drawn at that one's place.
    """
    ceiling = round_up(max((level.amount_cents for level in levels), default=0))
    first = levels[0].at if levels else now
    last = max([now, *(level.at for level in levels)])
    whole = max((last - first).total_seconds(), 1.0)
    dots: list[Dot] = []
    for level in levels:
        share = max((level.at - first).total_seconds(), 0.0) / whole
        x = max(round(LEFT + (RIGHT - LEFT) * share, 1), dots[-1].x if dots else LEFT)
        y = round(BOTTOM - (BOTTOM - TOP) * level.amount_cents / ceiling, 1)
        dots.append(Dot(x, y, f"{_minute(level.at)}: {money.show(level.amount_cents, currency)}"))
    path = f"M{LEFT} {BOTTOM}" + "".join(f"H{dot.x}V{dot.y}" for dot in dots) + f"H{RIGHT}"
    now_cents = levels[-1].amount_cents if levels else 0
    return StepChart(
        line=path,
        area=f"{path}V{BOTTOM}Z",
        dots=dots,
        lines=[grid_line(ceiling * part // 4, ceiling) for part in (0, 2, 4)],
        labels=[Label(LEFT, _minute(first), "start"), Label(RIGHT, _minute(last), "end")],
        summary=f"{what} since {_minute(first)} UTC, now {money.show(now_cents, currency)}",
    )


def _minute(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M")
