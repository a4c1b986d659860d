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
