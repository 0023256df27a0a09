"""Work that may be done in any order, by several threads: kernels let other threads run meanwhile."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def side_by_side(work: Iterable[Callable[[], None]], threads: int) -> None:
    """Each writes what nobody else reads or writes, so the result does not depend on the number of threads."""
    if threads <= 1:
        for one in work:
            one()
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="preparing") as pool:
        for done in [pool.submit(one) for one in work]:
            done.result()
