"""Which kernels are needed, and who gets the next place: by a clock that the test sets."""

from __future__ import annotations

import psutil
import pytest

from lrp_widgets.apps.serving import capacity
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


def test_one_who_finds_no_room_waits_in_the_order_of_coming(visits, clock):
    begin(visits, "a", "k")
    begin(visits, "b", "l")
    assert [visits.admit(name) for name in "cdcec"] == [1, 2, 1, 3, 1]
    assert visits.waiting == ["c", "d", "e"]
    visits.ended("k")
    assert [visits.admit(name) for name in "edf"] == [3, 2, 4]  # the free place is c's
    assert visits.admit("c") == 0
    assert [visits.admit(name) for name in "edf"] == [2, 1, 3]
    visits.failed()  # c gets no kernel after all
    assert [visits.admit(name) for name in "ed"] == [2, 0]


def test_one_who_is_admitted_holds_a_place_before_there_is_a_kernel(visits):
    assert [visits.admit(name) for name in "abc"] == [0, 0, 1]
    visits.began("a", "k")
    assert visits.admit("c") == 1
    visits.ended("k")
    assert visits.admit("c") == 0


def test_one_who_does_not_ask_again_is_passed_over_and_then_forgotten(visits, clock):
    begin(visits, "a", "k")
    begin(visits, "b", "l")
    assert [visits.admit(name) for name in "cd"] == [1, 2]
    clock.now += 6
    assert visits.admit("d") == 2
    clock.now += 6
    assert visits.waiting == ["d"]
    assert visits.admit("d") == 1
    assert visits.admit("c") == 1  # it was only slow
    clock.now += 121
    assert visits.waiting == []
    assert [visits.admit(name) for name in "dc"] == [1, 2]


def test_the_queue_is_bounded(visits, clock):
    begin(visits, "a", "k")
    begin(visits, "b", "l")
    places = [visits.admit(str(number)) for number in range(1005)]
    assert places[:1000] == [*range(1, 1001)]
    assert {*places[1000:]} == {1001}
    assert len(visits.waiting) == 1000


@pytest.mark.parametrize(
    ("free", "cores", "visits", "forks"),
    [
        *((23e9, 2, 40, 40), (4e9, 2, 10, 19), (4e9, 8, 10, 19), (1e9, 8, 1, 1), (0.3e9, 8, 1, 1), (64e9, 1, 20, 20)),
        (64e9, 32, 198, 394),
    ],
)
def test_the_default_number_of_visits_follows_memory_and_cores(monkeypatch, free, cores, visits, forks):
    monkeypatch.setattr(capacity, "available_memory", lambda: int(free))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {*range(cores)}, raising=False)
    assert capacity.capacity(forked=False) == visits
    assert capacity.capacity(forked=True) == forks


def test_the_memory_that_is_free():
    assert 0 < capacity.available_memory() <= psutil.virtual_memory().total
