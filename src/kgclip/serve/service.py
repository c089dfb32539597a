"""The work of the service: clips wait in a bounded queue, are read by processes and recognized together."""

import asyncio
import logging
import math
import secrets
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kgclip.engine.apart import Apart
from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError
from kgclip.memory import give_back_freed_memory
from kgclip.sent import SentClip, read_sent
from kgclip.serve.answers import answer_together
from kgclip.serve.job import Job
from kgclip.serve.metrics import Metrics
from kgclip.serving import Limits

log = logging.getLogger(__name__)

TOGETHER, TOGETHER_BYTES = 8, 2**28
"""Most clips that are encoded at once, and most bytes of their frames, but one clip at least."""
READ_S = 30.0
"""Most time for reading a file: one that is made to take long must not hold up the others."""
KEPT, KEPT_BYTES, KEPT_S = 256, 2**26, 600.0
"""Most answers that wait to be fetched, their bytes, but the last one at least, and how long they do."""
TIDY_S = 10.0
LAST_S = 5.0
"""At the end, answers that are not fetched yet wait so long."""
_WEIGHT = 0.2  # of the newest job in the mean time of a job


class RefusedError(Exception):
    """A request that is not taken.

    Attributes:
        status: of HTTP.
        retry_after_s: when to try again, where that may help.
    """

    def __init__(self, status: int, sentence: str, retry_after_s: int | None = None):
        super().__init__(sentence)
        self.status, self.retry_after_s = status, retry_after_s


@dataclass(frozen=True)
class Sizes:
    """How much is done at a time.

    Attributes:
        queue: most clips that wait or are worked on; those that are being sent count.
        readers: processes that read files.
    """

    queue: int = 32
    readers: int = 2


class Service:
    """Clips in, answers out; all methods are for one event loop.

    Args:
        recognizer: of the model.
        limits: of each clip.
        sizes: of queue and processes.
        uploads: folder for files until they were read.
    """

    def __init__(self, recognizer: Recognizer, limits: Limits, sizes: Sizes, uploads: Path):
        self.recognizer, self.limits, self.sizes, self.uploads = recognizer, limits, sizes, uploads
        self.metrics = Metrics()
        self.metrics.watch_unfinished(lambda: self.unfinished)
        self.ready = self.stopping = False
        self.unfinished = 0
        self._jobs: dict[str, Job] = {}
        self._mean_s = 1.0
        self.videos = Apart(recognizer.pose, died=self.metrics.replaced.inc)
        # Admission bounds the first queue; the second is short, as frames are large.
        self._waiting: asyncio.Queue[Job] = asyncio.Queue()
        self._read: asyncio.Queue[tuple[Job, SentClip]] = asyncio.Queue(TOGETHER)
        self._threads = ThreadPoolExecutor(sizes.readers, "kgclip-reader")
        self._model = ThreadPoolExecutor(1, "kgclip-model")

    def start(self) -> None:
        """Have the processes ready that read files.

        Raises:
            KgclipError: one does not start.
        """
        self.videos.start(self.sizes.readers)

    def close(self) -> None:
        """End them."""
        self.videos.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._model.shutdown(wait=False, cancel_futures=True)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.sizes.readers):
                tasks.create_task(self._read_files())
            tasks.create_task(self._recognize())
            tasks.create_task(self._tidy())
            self.ready = True

    async def stop(self) -> None:
        """Take no more clips, and return when those taken are answered and the answers fetched, or nobody comes."""
        self.stopping = True
        late = [job for job in self._jobs.values() if not job.is_over]
        while self.unfinished:
            await asyncio.sleep(0.05)
        end = time.monotonic() + LAST_S
        while time.monotonic() < end and not all(job.fetched for job in late):
            await asyncio.sleep(0.05)

    def admit(self, file: str, page: bool, request: str) -> Job:
        """A place for one clip more; `enqueue` or `drop` it.

        Raises:
            RefusedError: there is none, now.
        """
        if self.stopping or not self.ready:
            raise RefusedError(503, "the service is starting or stopping; try again later", 5)
        if self.unfinished >= self.sizes.queue:
            wait_s = min(60, math.ceil(self._mean_s))
            raise RefusedError(429, f"{self.unfinished} clips are waiting already; try again in {wait_s} s", wait_s)
        self._forget()
        self.unfinished += 1
        job = Job(file, page, request, self.uploads / secrets.token_hex(8), self._over)
        job.folder.mkdir()
        self._jobs[job.id] = job
        return job

    def enqueue(self, job: Job) -> None:
        """The clip is here: it may be read, in what is left of its time."""
        end_s = job.began_s + self.limits.wait_s
        job.clock = asyncio.get_running_loop().call_later(max(0.0, end_s - time.monotonic()), self._expire, job)
        self._waiting.put_nowait(job)

    def drop(self, job: Job) -> None:
        """Forget a job and all that belongs to it."""
        self._jobs.pop(job.id, None)
        job.fail(410, f"{job.file}: was taken back")
        job.fetched = True

    def job(self, id: str) -> Job:
        """A job by its id.

        Raises:
            RefusedError: there is none, or it is forgotten.
        """
        self._forget()
        if id not in self._jobs:
            raise RefusedError(404, f"there is no such job; answers wait up to {KEPT_S:.0f} s to be fetched")
        return self._jobs[id]

    def _forget(self) -> None:
        """Let go of the oldest answers."""
        over = [job for job in self._jobs.values() if job.is_over]
        old, held = time.monotonic() - KEPT_S - self.limits.wait_s, 0
        for number, job in enumerate(reversed(over)):
            held += 0 if job.answer is None else job.answer.num_bytes
            if job.began_s < old or number >= KEPT or (number and held > KEPT_BYTES):
                del self._jobs[job.id]

    def _expire(self, job: Job) -> None:
        job.fail(504, f"{job.file}: {self.limits.too_late()}")

    def _over(self, job: Job) -> None:
        took_s = time.monotonic() - job.began_s
        if job.clock is not None:
            job.clock.cancel()  # it would hold the answer until then
        # Whoever stops or watches the service finds nothing left behind once nothing is unfinished.
        shutil.rmtree(job.folder, ignore_errors=True)
        self.unfinished -= 1
        self._mean_s += _WEIGHT * (took_s - self._mean_s)
        self.metrics.jobs.labels(job.state).inc()
        self.metrics.job_seconds.observe(took_s)
        log.info("request %s: %s in %.3f s%s", job.request, job.state, took_s, f": {job.error}" if job.error else "")

    async def _read_files(self) -> None:
        loop, num_frames = asyncio.get_running_loop(), self.recognizer.checkpoint.config.frames
        while True:
            job = await self._waiting.get()
            if job.is_over:
                continue
            job.move("reading")
            left_s = self.limits.wait_s - (time.monotonic() - job.began_s)
            videos = self.videos.within(min(READ_S, max(left_s, 0.1)))
            work = partial(read_sent, videos, job.path, job.file, num_frames, self.limits, page=job.page)
            try:
                clip = await loop.run_in_executor(self._threads, work)
            except KgclipError as error:
                job.fail(422, str(error))
            except Exception:
                log.exception("request %s", job.request)
                job.fail(500, f"{job.file}: the service failed; its log says why")
            else:
                shutil.rmtree(job.folder, ignore_errors=True)
                await self._read.put((job, clip))
                del clip

    async def _recognize(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._read.get()]
            held = batch[0][1].frames.images.nbytes
            while len(batch) < TOGETHER and held < TOGETHER_BYTES and not self._read.empty():
                batch.append(self._read.get_nowait())
                held += batch[-1][1].frames.images.nbytes
            batch = [(job, clip) for job, clip in batch if not job.is_over]
            for job, _ in batch:
                job.move("recognizing")
            try:
                answers = await loop.run_in_executor(
                    self._model, answer_together, self.recognizer, [clip for _, clip in batch]
                )
            except Exception:
                log.exception("requests %s", ", ".join(job.request for job, _ in batch))
                answers = [None] * len(batch)
            self.metrics.together.observe(len(batch))
            for (job, _), answer in zip(batch, answers, strict=True):
                if answer is None:
                    job.fail(500, f"{job.file}: the service failed; its log says why")
                elif isinstance(answer, KgclipError):
                    job.fail(422, str(answer))
                else:
                    job.finish(answer)
            del batch, answers

    async def _tidy(self) -> None:
        """Between two batches, when little is in use, give freed memory back."""
        while True:
            await asyncio.sleep(TIDY_S)
            await asyncio.get_running_loop().run_in_executor(self._model, give_back_freed_memory)
