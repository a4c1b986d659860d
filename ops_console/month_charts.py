"""Stacked columns by month. Whole minor units in, SVG coordinates out; templates only print them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ops_console.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, grid_line, round_up
from settld.core import money


@dataclass(frozen=True)
class Month:
    """What one column stands for: amounts with their tones, from the bottom up."""

    name: str
    amounts: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class Block:
    """One stretch of a column."""

    y: float
    height: float
    tone: str


@dataclass(frozen=True)
class Column:
    """One month's stretches on top of each other."""

    x: float
    width: float
    blocks: list[Block]
    text_x: float
    text: str
    title: str


@dataclass(frozen=True)
class MonthChart:
    """Stacked columns by month with a grid."""

    columns: list[Column]
    lines: list[Line]
    legend: list[tuple[str, str]]
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    plot_height: int = BOTTOM - TOP
    label_x: int = LEFT - 8
    text_y: int = BOTTOM + 17


def month_chart(months: Sequence[Month], *, currency: str, what: str, labels: Sequence[str]) -> MonthChart:
    """Lay out a column per month; `labels` name its stretches from the bottom up, in every month alike."""
    ceiling = round_up(max((sum(amount for amount, _ in month.amounts) for month in months), default=0))
    step = (RIGHT - LEFT) / max(len(months), 1)
    every = max(round(len(months) / 6), 1)
    columns = []
    for index, month in enumerate(months):
        x = LEFT + index * step + step * 0.14
        parts = ", ".join(
            f"{label.lower()} {money.show(amount, currency)}"
            for label, (amount, _) in zip(labels, month.amounts, strict=True)
        )
        columns.append(
            Column(
                x=round(x, 1),
                width=round(step * 0.72, 1),
                blocks=_blocks(month, ceiling),
                text_x=round(x + step * 0.36, 1),
                text=month.name if (len(months) - 1 - index) % every == 0 else "",
                title=f"{month.name}: {parts}",
            )
        )
    tones = [tone for _, tone in months[0].amounts] if months else []
    return MonthChart(
        columns=columns,
        lines=[grid_line(ceiling * part // 4, ceiling, currency=currency) for part in (0, 2, 4)],
        legend=list(zip(labels, tones, strict=False)),
        summary=f"{what} over {len(months)} months, in {currency}",
    )


def _blocks(month: Month, ceiling: int) -> list[Block]:
    blocks: list[Block] = []
    top = float(BOTTOM)
    for amount, tone in month.amounts:
        if amount > 0:
            height = max((BOTTOM - TOP) * amount / ceiling, 1.5)
            top -= height
            blocks.append(Block(round(top, 1), round(height, 1), tone))
    return blocks
