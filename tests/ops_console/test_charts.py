"""The geometry of charts: whole amounts in, coordinates inside the drawing out."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_console import charts

AMOUNTS = st.lists(st.integers(0, 2**53 - 1), min_size=1, max_size=31)


@given(AMOUNTS)
def test_every_bar_lies_inside_the_drawing(amounts):
    first = dt.date(2026, 1, 1)
    days = [
        charts.Day(first + dt.timedelta(days=index), cents, 1, "/x") for index, cents in enumerate(amounts)
    ]

    chart = charts.day_chart(days, currency="USD", caption="")

    for bar, cents in zip(chart.bars, amounts, strict=True):
        assert charts.TOP - 0.1 <= bar.y <= charts.BOTTOM
        assert charts.LEFT <= bar.x < bar.x + bar.width <= charts.RIGHT + 0.1
        assert (bar.height > 0) == (cents > 0)


@given(st.lists(st.integers(0, 2**53 - 1), max_size=8), st.integers(0, 2**53 - 1))
def test_the_parts_of_a_meter_never_overlap_nor_leave_it(amounts, whole):
    parts = charts.meter([(amount, "good") for amount in amounts], whole=whole, summary="").parts

    assert all(0 <= part.x < part.x + part.width <= charts.METER_WIDTH for part in parts)


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (0, "0"),
        (99_900, "999"),
        (100_000, "1k"),
        (125_000, "1.2k"),
        (5_000_000_00, "5M"),
        (2_500_000_000_00, "2.5B"),
    ],
)
def test_axis_amounts_are_brief(cents, text):
    assert charts.brief(cents) == text


@given(st.lists(st.tuples(st.integers(-10, 10**6), st.integers(0, 2**53 - 1)), max_size=20))
def test_a_balance_over_time_lies_inside_the_drawing_and_never_runs_back(changes):
    now = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
    levels = [charts.Level(now - dt.timedelta(seconds=ago), cents) for ago, cents in changes]

    chart = charts.step_chart(levels, now=now, currency="USD", what="Owed")

    assert len(chart.dots) == len(changes)
    places = [dot.x for dot in chart.dots]
    assert places == sorted(places)
    for dot, (_, cents) in zip(chart.dots, changes, strict=True):
        assert charts.LEFT <= dot.x <= charts.RIGHT
        assert charts.TOP - 0.1 <= dot.y <= charts.BOTTOM
        assert dot.y == charts.BOTTOM or cents
    assert chart.line.startswith(f"M{charts.LEFT} ")
    assert chart.line.endswith(f"H{charts.RIGHT}")
