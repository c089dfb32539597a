"""What is counted and timed, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class Metrics:
    """The numbers of one service, apart from those of any other in the process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("kgclip_requests", "Requests", ("method", "route", "status"), registry=registry)
        self.request_seconds = Histogram(
            "kgclip_request_seconds", "Time of requests", ("route",), buckets=_SECONDS, registry=registry
        )
        self.jobs = Counter("kgclip_jobs", "Clips that were answered or not", ("outcome",), registry=registry)
        self.job_seconds = Histogram(
            "kgclip_job_seconds", "Time from upload to answer", buckets=_SECONDS, registry=registry
        )
        self.together = Histogram(
            "kgclip_clips_together", "Clips encoded at once", buckets=(1, 2, 4, 8), registry=registry
        )
        self.replaced = Counter("kgclip_readers_replaced", "Processes that a file killed or held", registry=registry)
        self._unfinished = Gauge("kgclip_jobs_unfinished", "Clips waiting or being worked on", registry=registry)

    def watch_unfinished(self, count: Callable[[], int]) -> None:
        """Have the clips in work counted whenever somebody asks."""
        self._unfinished.set_function(count)

    def text(self) -> bytes:
        """All numbers in Prometheus' format of text."""
        return generate_latest(self.registry)
