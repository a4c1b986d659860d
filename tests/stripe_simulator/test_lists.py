"""Cursor lists and their filters."""

import pytest
import stripe


@pytest.fixture
def five(pay):
    """Five transfers, oldest first."""
    return [pay(amount=n, transfer_group="odd" if n % 2 else "even").id for n in range(1, 6)]


def ids(page):
    return [one.id for one in page.data]


def test_pages_go_forward_newest_first(client, five):
    first = client.v1.transfers.list(params={"limit": 2})
    second = client.v1.transfers.list(params={"limit": 2, "starting_after": five[3]})
    last = client.v1.transfers.list(params={"limit": 2, "starting_after": five[1]})

    assert (ids(first), first.has_more, first.url) == ([five[4], five[3]], True, "/v1/transfers")
    assert (ids(second), second.has_more) == ([five[2], five[1]], True)
    assert (ids(last), last.has_more) == ([five[0]], False)


def test_pages_go_backward(client, five):
    page = client.v1.transfers.list(params={"limit": 2, "ending_before": five[1]})
    assert (ids(page), page.has_more) == ([five[3], five[2]], True)
    page = client.v1.transfers.list(params={"limit": 2, "ending_before": five[2]})
    assert (ids(page), page.has_more) == ([five[4], five[3]], False)


def test_the_sdk_pages_through_everything(client, five):
    found = client.v1.transfers.list(params={"limit": 2}).auto_paging_iter()
    assert [one.id for one in found] == five[::-1]


def test_filters_narrow_by_group_destination_and_time(client, five, pay, stripe_sim):
    stripe_sim.account("acct_other")
    stripe_sim.control("/_sim/clock", {"now": 4_000_000_000})
    later = pay(destination="acct_other", transfer_group="even").id

    def listed(**params):
        return ids(client.v1.transfers.list(params=params))

    assert listed(transfer_group="even") == [later, five[3], five[1]]
    assert listed(transfer_group="even", limit=1, starting_after=later) == [five[3]]
    assert listed(destination="acct_other", transfer_group="even") == [later]
    assert listed(transfer_group="none") == []
    assert listed(created={"gte": 4_000_000_000}) == [later]
    assert listed(created={"lt": 4_000_000_000}) == five[::-1]
    assert listed(created=4_000_000_000) == [later]


@pytest.mark.parametrize("limit", [0, 101])
def test_limits_outside_1_to_100_are_refused(client, limit):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.transfers.list(params={"limit": limit})
    assert (refused.value.code, refused.value.param) == ("parameter_invalid_integer", "limit")


def test_an_unknown_cursor_is_refused(client):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.transfers.list(params={"starting_after": "tr_none"})
    assert (refused.value.code, refused.value.param) == ("resource_missing", "starting_after")
