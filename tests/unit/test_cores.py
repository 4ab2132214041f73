import threading
from collections.abc import Iterator

import pytest
import torch

from floatcli.cores import each_on_a_core


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("two_threads")
def test_items_are_worked_on_side_by_side_by_one_thread_each() -> None:
    together = threading.Barrier(2, timeout=10)

    def work(item: int) -> tuple[int, int, bool]:
        together.wait()
        return 10 * item, torch.get_num_threads(), torch.is_grad_enabled()

    assert each_on_a_core(work, range(4)) == [(10 * item, 1, False) for item in range(4)]
    assert torch.get_num_threads() == 2
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2]


@pytest.mark.usefixtures("two_threads")
def test_threads_are_shared_out_where_items_are_few() -> None:
    torch.set_num_threads(6)
    assert each_on_a_core(lambda _: torch.get_num_threads(), range(2)) == [3, 3]
    assert each_on_a_core(lambda _: torch.get_num_threads(), range(8)) == [1] * 8
    assert torch.get_num_threads() == 6


@pytest.mark.usefixtures("two_threads")
def test_modes_are_those_of_who_asks() -> None:
    def modes(_: int) -> tuple[bool, bool, torch.dtype]:
        return torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    with torch.inference_mode(), torch.autocast("cpu", torch.float16):
        assert each_on_a_core(modes, [1, 2]) == [(True, True, torch.float16)] * 2
    assert each_on_a_core(modes, [1, 2])[0][:2] == (False, False)


@pytest.mark.usefixtures("two_threads")
def test_what_goes_wrong_is_raised() -> None:
    def fail(item: int) -> None:
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        each_on_a_core(fail, range(3))


@pytest.mark.usefixtures("two_threads")
def test_a_single_item_has_all_threads() -> None:
    assert each_on_a_core(lambda _: (torch.get_num_threads(), threading.current_thread().name), [1]) == [
        (2, threading.current_thread().name)
    ]
