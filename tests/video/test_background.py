from __future__ import annotations

import itertools
import threading
import time

import pytest

from flowdeblur.video.background import reading_ahead, writing_behind


@pytest.fixture(autouse=True)
def no_thread_stays():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_items_come_in_order_from_another_thread():
    threads = set()

    def items():
        for item in range(50):
            threads.add(threading.current_thread())
            yield item

    with reading_ahead(items(), 3) as taken:
        assert list(taken) == list(range(50))
    assert threading.current_thread() not in threads
    assert len(threads) == 1


def test_a_thread_that_waits_is_woken_up_at_the_end():
    woken = threading.Event()

    def items():
        yield 0
        woken.wait(20)

    def interrupted():
        with reading_ahead(items(), 2, woken.set) as taken:
            next(taken)
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - start < 10


def test_no_more_is_read_than_wanted():
    read = itertools.count()
    with reading_ahead((next(read) for _ in range(100)), 4) as taken:
        for _ in range(5):
            next(taken)
    assert next(read) <= 5 + 4


def test_a_reading_error_comes_after_what_was_read():
    def items():
        yield 1
        raise ValueError("broken")

    with reading_ahead(items(), 3) as taken:
        assert next(taken) == 1
        with pytest.raises(ValueError, match="broken"):
            next(taken)


def test_everything_is_written_in_order_by_another_thread():
    written, threads = [], set()

    def write(item):
        threads.add(threading.current_thread())
        written.append(item)

    with writing_behind(write, 3) as give:
        for item in range(50):
            give(item)
            assert len(written) >= item - 3
    assert written == list(range(50))
    assert threading.current_thread() not in threads
    assert len(threads) == 1


@pytest.mark.parametrize("count", [1, 50])
def test_a_writing_error_comes_out(count):
    def write(item):
        raise OSError("full")

    def run():
        with writing_behind(write, 3) as give:
            for item in range(count):
                give(item)

    with pytest.raises(OSError, match="full"):
        run()


def test_an_error_in_the_block_ends_both():
    written = []

    def run():
        with writing_behind(written.append, 2) as give, reading_ahead(range(100), 2) as taken:
            for item in taken:
                if item == 5:
                    raise KeyboardInterrupt
                give(item)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert written == list(range(len(written)))
    assert 3 <= len(written) <= 5


def test_a_writing_error_is_raised_with_the_next_item():
    failed = threading.Event()

    def write(item):
        failed.set()
        raise ValueError("broken")

    def give_many():
        with writing_behind(write, 9) as give:
            give(1)
            failed.wait(10)
            for _ in range(1000):
                give(2)
                threading.Event().wait(0.005)
            pytest.fail("nothing was raised")

    with pytest.raises(ValueError, match="broken"):
        give_many()
