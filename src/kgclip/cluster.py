"""Work on many files by many machines: Ray, an optional engine in place of the worker processes of one machine."""

import importlib.util
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeVar

from kgclip.errors import KgclipError

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
Engine = Literal["local", "ray"]

# A task whose process or machine died is tried again, where there is room.
RETRIES = 2
# Tasks that are begun and not yet taken, for each core of the cluster.
AHEAD = 4
# How long a cluster's machine may take to answer.
PATIENCE_S = 5


def map_on_ray(function: Callable[[T], R], tasks: Sequence[T], *, place: str) -> Iterator[R | KgclipError]:
    """The results of a function in the order of its tasks, by the processes of a Ray cluster.

    The cluster is the one that RAY_ADDRESS names or `ray start` started on this machine; without one, the cores of this
    machine. Files must lie under the same path on all machines. No more tasks are begun than the cluster can work on
    shortly, so that results do not pile up.

    Args:
        function: one of a module, or a partial of one; what it loads it should keep for the next task.
        place: what is worked on, for the sentence of an error.

    Returns:
        An error in place of the result of a task whose process died each time; all others go on.

    Raises:
        KgclipError: Ray is not installed, or its cluster cannot be reached.
    """
    if importlib.util.find_spec("ray") is None:
        raise KgclipError("--engine ray: Ray is not installed; pip install 'kgclip[ray]'")
    import ray
    from ray.exceptions import RayError, RayTaskError

    _connect(place)
    send, shared = ray.remote(max_retries=RETRIES)(_call), ray.put(function)
    begun: deque[tuple[T, Any]] = deque()
    left = iter(tasks)
    while True:
        room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while len(begun) < room and (task := next(left, _END)) is not _END:
            begun.append((task, send.remote(shared, task)))
        if not begun:
            return
        task, result = begun.popleft()
        try:
            yield ray.get(result)
        except RayTaskError as error:
            raise error.cause from None
        except RayError:
            yield KgclipError(
                f"{task}: ended the process that worked on it {RETRIES + 1} times, perhaps for want of memory; look at "
                "it alone, or leave it out"
            )


_END: Any = object()


def _call(function: Callable[[Any], Any], task: Any) -> Any:
    return function(task)


def _connect(place: str) -> None:
    import ray
    from ray._private import worker

    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS", "")
    if address:
        _check_reachable(address, place)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    # What Ray says of processes and machines that died would go to stdout, between the lines of --json.
    worker.print_to_stdstream = _to_log
    try:
        ray.init(address=address or "auto", **quiet)
    except ConnectionError:
        ray.init(address="local", include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)


def _to_log(message: dict[str, Any], ignore_prefix: bool) -> None:
    for line in message["lines"]:
        log.debug("%s", line)


def _check_reachable(address: str, place: str) -> None:
    """Ask at once, as Ray itself waits for minutes and then ends the process."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()
    except (OSError, ValueError):
        raise KgclipError(
            f"{place}: no Ray cluster answers at RAY_ADDRESS {address}; start it with `ray start --head`, or unset "
            "RAY_ADDRESS to use this machine alone"
        ) from None
