"""Which kernels are needed, and who gets the next place: by a clock that the test sets."""

from __future__ import annotations

import pytest

from lrp_widgets.apps.serving.visits import Visits


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def visits(clock: Clock) -> Visits:
    """Two places, both free."""
    return Visits(most=2, clock=clock)


def begin(visits: Visits, visitor: str, kernel: str) -> None:
    assert visits.admit(visitor) == 0
    visits.began(visitor, kernel)
    visits.sent(kernel)


def test_a_page_that_never_connects_is_waited_for_20_s(visits, clock):
    assert visits.admit("a") == 0
    visits.began("a", "k")
    clock.now += 1000
    assert [*visits.overdue()] == []  # the page is still being made
    visits.sent("k")
    clock.now += 20
    assert [*visits.overdue()] == []
    visits.seen("b")
    clock.now += 0.1
    assert [*visits.overdue()] == ["k"]
    visits.seen("a")  # it still loads its scripts
    clock.now += 20
    assert [*visits.overdue()] == []
    visits.connected("k")
    clock.now += 10**6
    assert [*visits.overdue()] == []


@pytest.mark.parametrize(("left", "patience"), [(True, 1), (False, 120)])
def test_a_page_that_was_left_frees_its_place_and_a_lost_one_may_come_back(visits, clock, left, patience):
    begin(visits, "a", "k")
    visits.connected("k")
    visits.disconnected("k", left)
    clock.now += patience
    visits.seen("a")  # another page of this visitor
    assert [*visits.overdue()] == []
    clock.now += 0.1
    assert [*visits.overdue()] == ["k"]
    visits.connected("k")
    assert [*visits.overdue()] == []


def test_a_second_connection_keeps_a_kernel(visits, clock):
    begin(visits, "a", "k")
    visits.connected("k")
    visits.connected("k")
    visits.disconnected("k", left=True)
    clock.now += 1000
    assert [*visits.overdue()] == []


def test_a_dead_kernel_is_overdue_at_once(visits):
    begin(visits, "a", "k")
    visits.connected("k")
    visits.died("k")
    assert [*visits.overdue()] == ["k"]
    visits.ended("k")
    assert [*visits.overdue()] == []
    for event in (visits.died, visits.sent, visits.connected, visits.ended):
        event("k")  # late news
    visits.disconnected("k", left=True)


def test_a_kernel_has_one_owner(visits):
    begin(visits, "a", "k")
    assert visits.owns("a", "k")
    assert not visits.owns("b", "k") and not visits.owns("", "k") and not visits.owns("a", "other")
    visits.ended("k")
    assert not visits.owns("a", "k")
