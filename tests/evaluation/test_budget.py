import random
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from llmflowlab.asking.budget import Budget
from tests.patience import PATIENCE


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 100)), max_size=60), st.integers(1, 400)
)
def test_no_schedule_passes_the_cap(calls, cap):
    """Calls start and end in any order: a reservation may be settled long after others began."""
    budget = Budget(Decimal(cap))
    open_calls: list[tuple[Decimal, Decimal]] = []
    for worst, share in calls:
        while open_calls and (share + worst) % 3 == 0:
            budget.settle(*open_calls.pop(share % len(open_calls)))
        amount = Decimal(worst)
        stop = threading.Event()
        stop.set()
        if budget.reserve(amount, stop):
            open_calls.append((amount, amount * share / 100))
        assert budget.committed <= cap
    for worst_amount, actual in open_calls:
        budget.settle(worst_amount, actual)
    assert budget.spent <= cap


def test_sixty_four_workers_never_pass_the_cap():
    budget = Budget(Decimal(100))
    seen: list[Decimal] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(30):
            worst = Decimal(rng.randint(1, 20))
            if budget.reserve(worst):
                seen.append(budget.committed)
                budget.settle(worst, worst * rng.randint(0, 100) / 100)

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64)))
    assert max(seen) <= 100
    assert budget.spent <= 100


def test_a_call_waits_for_money_that_others_may_give_back():
    budget = Budget(Decimal(10))
    assert budget.reserve(Decimal(8))
    results: list[bool] = []
    waiting = threading.Thread(target=lambda: results.append(budget.reserve(Decimal(5))))
    waiting.start()
    budget.settle(Decimal(8), Decimal(1))
    waiting.join(timeout=PATIENCE)
    assert results == [True]


def test_a_call_that_can_never_fit_is_refused_at_once():
    budget = Budget(Decimal(10), spent=Decimal(7))
    assert not budget.reserve(Decimal(4))


def test_a_raised_cap_lets_go_on():
    budget = Budget(Decimal(1))
    assert not budget.reserve(Decimal(2))
    budget.raise_to(Decimal(3))
    assert budget.reserve(Decimal(2))
