"""The routes: a clip is sent and becomes a job, whose events and answer are fetched."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from kgclip.errors import KgclipError
from kgclip.report.compose import POLICY
from kgclip.serve.job import Job, State, safe_name
from kgclip.serve.service import RefusedError, Service

NO_ROOM_S = 30
"""After so long a disk may have room again."""
TAKEN = ("video/", "application/octet-stream")
_TOKEN = {"type": "http", "scheme": "bearer", "description": "Where the service was started with a token."}


class Problem(BaseModel):
    """What went wrong, in one sentence, and the id of the request, which the log names too."""

    error: str
    request: str


class JobView(BaseModel):
    """A job, and where its events and its answer are fetched."""

    id: str
    file: str
    state: State
    error: str | None
    events: str
    explanation: str
    page: str | None


class Health(BaseModel):
    """Whether the service answers."""

    status: Literal["ok", "starting or stopping"]


def _problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {code: {"model": Problem} for code in (400, 401, 500, *codes)}
    for code in {429, 503} & found.keys():
        found[code]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return found


def _service(request: Request) -> Service:
    return request.app.state.service


Served = Annotated[Service, Depends(_service)]
routes = APIRouter()


@routes.get("/health", responses={400: {"model": Problem}})
async def health() -> Health:
    """Whether the service answers at all."""
    return Health(status="ok")


@routes.get("/ready", responses={400: {"model": Problem}, 503: {"model": Health}})
async def ready(service: Served, response: Response) -> Health:
    """Whether the service takes clips: the model is loaded, and it was not told to stop."""
    if service.ready and not service.stopping:
        return Health(status="ok")
    response.status_code = 503
    return Health(status="starting or stopping")


@routes.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **_problems()})
async def metrics(service: Served) -> Response:
    """Numbers for Prometheus."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


_BODY = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("video/*", TAKEN[1])},
    }
}


@routes.post("/v1/jobs", status_code=202, responses=_problems(408, 413, 415, 422, 429, 503), openapi_extra=_BODY)
async def send(
    request: Request,
    service: Served,
    name: Annotated[str, Query(max_length=1000, description="the file's name")] = "clip",
    page: Annotated[bool, Query(description="whether a page is wanted, too")] = False,
) -> JobView:
    """Send a clip as the body of the request, at once or in chunks."""
    kind = request.headers.get("content-type", "").lower()
    if not kind.startswith(TAKEN):
        raise RefusedError(
            415, "the body is no video by its Content-Type; expected video/… or application/octet-stream"
        )
    file = safe_name(name)
    size = request.headers.get("content-length", "")
    _check_size(service, file, int(size[:20]) if size.isdecimal() else 0)
    job = service.admit(file, page, request.state.request)
    try:
        async with asyncio.timeout(service.limits.wait_s):
            await _receive(request, service, job)
    except TimeoutError:
        service.drop(job)
        sentence = f"{file}: was not sent within {service.limits.wait_s:g} s; send a smaller file"
        raise RefusedError(408, sentence) from None
    except ClientDisconnect:
        service.drop(job)
        # Nobody hears it.
        raise RefusedError(400, f"{file}: the connection ended before the file did") from None
    except OSError as error:
        service.drop(job)
        raise RefusedError(503, f"{file}: the service has no room for it now; try again later", NO_ROOM_S) from error
    except BaseException:
        service.drop(job)
        raise
    service.enqueue(job)
    return _view(job)


async def _receive(request: Request, service: Service, job: Job) -> None:
    """Write the body of a request into a job's file."""
    length = 0
    with job.path.open("wb") as file:
        async for chunk in request.stream():
            length += len(chunk)
            _check_size(service, job.file, length)
            file.write(chunk)
    if not length:
        raise RefusedError(422, f"{job.file}: is empty; send the video as the body of the request")


def _check_size(service: Service, file: str, num_bytes: int) -> None:
    try:
        service.limits.check_size(file, num_bytes)
    except KgclipError as error:
        raise RefusedError(413, str(error)) from error


@routes.get("/v1/jobs/{id}", responses=_problems(404))
async def job(id: str, service: Served) -> JobView:
    """How far a job is."""
    return _view(service.job(id))


@routes.delete("/v1/jobs/{id}", status_code=204, responses=_problems(404))
async def forget(id: str, service: Served) -> None:
    """Take a clip back, or have its answer forgotten."""
    service.drop(service.job(id))


_STREAM = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


@routes.get("/v1/jobs/{id}/events", response_class=StreamingResponse, responses={**_STREAM, **_problems(404)})
async def events(id: str, service: Served) -> StreamingResponse:
    """The states of a job as they come: events whose name is the state and whose data is the job; then the end."""
    return StreamingResponse(_events(service.job(id)), media_type="text/event-stream")


async def _events(job: Job) -> AsyncIterator[str]:
    async for state in job.states():
        if state is None:
            yield ": still at it\n\n"
        else:
            view = _view(job).model_copy(update={"state": state, "error": job.error if state == "failed" else None})
            yield f"event: {state}\ndata: {view.model_dump_json()}\n\n"


_EXPLANATION = {
    "description": "The explanation, in the format kgclip.explanation/1.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["format", "file", "clip", "answer", "actions", "movements", "provenance"],
                "properties": {"format": {"const": "kgclip.explanation/1"}, "file": {"type": "string"}},
            }
        }
    },
}
_ANSWERED = _problems(404, 409, 410, 422, 504)


@routes.get("/v1/jobs/{id}/explanation", response_class=Response, responses={**_ANSWERED, 200: _EXPLANATION})
async def explanation(id: str, service: Served) -> Response:
    """The explanation of a clip whose job is done."""
    found = service.job(id)
    _check_done(found)
    assert found.answer is not None
    return Response(found.answer.explanation, media_type="application/json")


_PAGE = {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}}


@routes.get("/v1/jobs/{id}/page", response_class=Response, responses={**_ANSWERED, 200: _PAGE})
async def page(id: str, service: Served) -> Response:
    """The page of a clip whose job is done, one file with the video inside."""
    found = service.job(id)
    _check_done(found)
    if found.answer is None or found.answer.page is None:
        raise RefusedError(404, f"{found.file}: was sent without page=true; send it again with it")
    return Response(
        found.answer.page,
        media_type="text/html; charset=utf-8",
        headers={"content-security-policy": f"{POLICY};sandbox allow-scripts"},
    )


def _check_done(job: Job) -> None:
    if job.state == "failed":
        job.fetched = True
        raise RefusedError(job.status, job.error or "")
    if job.answer is None:
        raise RefusedError(409, f"{job.file}: is not answered yet, it is {job.state}; wait for its events")
    job.fetched = True


def _view(job: Job) -> JobView:
    place = f"/v1/jobs/{job.id}"
    return JobView(
        id=job.id,
        file=job.file,
        state=job.state,
        error=job.error,
        events=f"{place}/events",
        explanation=f"{place}/explanation",
        page=f"{place}/page" if job.page else None,
    )


def make_api(service: Service) -> FastAPI:
    """The application around a service that has started; the service works while the application runs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(service.run())
        yield
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    # The pages that try the routes out would be loaded from elsewhere.
    api = FastAPI(title="kgclip", lifespan=lifespan, docs_url=None, redoc_url=None)
    api.state.service = service
    api.include_router(routes)
    api.add_exception_handler(RefusedError, _refused)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _no_route)
    api.add_exception_handler(Exception, _failed)
    return api


def _problem(request: Request, status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    problem = Problem(error=sentence, request=request.state.request)
    return JSONResponse(problem.model_dump(), status, headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    wait_s = error.retry_after_s
    return _problem(request, error.status, str(error), None if wait_s is None else {"Retry-After": str(wait_s)})


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _problem(request, 422, f"{first['loc'][-1]}: {first['msg']}; see /openapi.json")


async def _no_route(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _problem(request, error.status_code, f"{error.detail}; see /openapi.json", dict(error.headers or {}))


async def _failed(request: Request, error: Exception) -> JSONResponse:
    return _problem(request, 500, "the service failed; its log says why")
