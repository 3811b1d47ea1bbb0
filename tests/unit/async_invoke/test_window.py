"""How many events of a function run at once."""

from __future__ import annotations

from lambent.async_invoke.window import MAX, START, Window


def fill(window: Window) -> list[int]:
    return [window.started() for _ in range(window.limit - window.in_flight)]


def test_slow_functions_double_their_concurrency_with_each_round() -> None:
    window = Window()
    sizes = []
    for _ in range(8):
        numbers = fill(window)
        sizes.append(len(numbers))
        for _ in numbers:
            window.ran(1.0)
    assert sizes == [16, 32, 64, 128, 256, 512, MAX, MAX]


def test_quick_functions_grow_slowly() -> None:
    window = Window()
    for _ in range(100):
        window.started()
        window.ran(0.001)
    assert window.limit == START + 10


def test_a_throttle_halves_once_for_all_that_ran() -> None:
    window = Window()
    numbers = fill(window)
    for number in numbers[:10]:
        window.throttled(number)
    assert (window.limit, window.is_throttled, window.patience_s) == (8, True, 1)
    for _ in numbers[10:]:
        window.ran(0.5)
    assert (window.limit, window.is_throttled, window.patience_s) == (14, False, 1)


def test_the_next_try_waits_longer_each_time() -> None:
    window = Window()
    for number in fill(window):
        window.throttled(number)
    pauses = []
    for _ in range(6):
        pauses.append(window.patience_s)
        window.waited()
        window.throttled(window.started())
    assert pauses == [1, 2, 4, 8, 10, 10]
    assert window.limit == 1
    window.started()
    window.ran(0.5)
    assert (window.is_throttled, window.limit) == (False, 2)


def test_while_nothing_ends_more_may_run() -> None:
    """Also of a function that is quick but for a few events: those do not hold up the others."""
    window = Window()
    sizes = []
    for _ in range(4):
        assert window.patience_s == 1
        window.waited()
        sizes.append(window.limit)
    assert sizes == [24, 36, 54, 81]


def test_what_did_not_run_changes_nothing() -> None:
    window = Window()
    window.started()
    window.skipped()
    assert (window.limit, window.in_flight, window.is_throttled) == (START, 0, False)
