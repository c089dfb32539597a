"""Whatever is asked of the routes that are documented, the answer is one that is documented."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

from tests.serve.conftest import WAIT_S, Running
from tools.client import Answer, Client

ROUTES = {
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs/{id}"),
    ("DELETE", "/v1/jobs/{id}"),
    ("GET", "/v1/jobs/{id}/events"),
    ("GET", "/v1/jobs/{id}/explanation"),
    ("GET", "/v1/jobs/{id}/page"),
}
IDS = st.sampled_from(["none", "%2e%2e", "a%2Fb", "%00", "%C3%28", "x" * 300]) | st.text(
    "abc-_~!$'()*,;=:@", min_size=1
)
QUERIES = st.sampled_from(["", "?name=a.mp4", "?name=%00", "?name=%FF&name=b", "?page=maybe", "?page=true", "?x[]=1"])
NAMES = st.sampled_from(["?name=" + "x" * 1001, "?name=..%2F..%2Fa", "?page=1&page=0", "?name"])
KINDS = st.sampled_from(["video/mp4", "VIDEO/x", "application/octet-stream", "text/html", "application/json", "video"])
EXAMPLES = 25
BODIES = st.none() | st.binary(max_size=64)


@pytest.fixture(scope="module")
def schema(served: Running) -> Any:
    return served.client().ask("GET", "/openapi.json").json()


@pytest.fixture(scope="module")
def asking(served: Running) -> Client:
    return served.client()


def check(schema: Any, method: str, path: str, answer: Answer) -> None:
    """Status, type and body of an answer are those of the documents."""
    documented = schema["paths"][path][method.lower()]["responses"]
    assert str(answer.status) in documented, answer
    kinds = documented[str(answer.status)].get("content", {})
    if not kinds:
        assert not answer.body
        return
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in kinds
    if kind == "application/json":
        whole = {**kinds[kind]["schema"], "components": schema["components"]}
        jsonschema.validate(json.loads(answer.body), whole, jsonschema.Draft202012Validator)


def test_all_routes_are_documented(schema: Any):
    found = {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    assert found == ROUTES


@settings(max_examples=150)
@given(st.sampled_from(sorted(ROUTES)), IDS, QUERIES | NAMES, KINDS, BODIES)
def test_nothing_but_documented_answers(
    schema: Any, asking: Client, route: tuple[str, str], id: str, query: str, kind: str, body: bytes | None
):
    method, path = route
    answer = asking.ask(method, path.replace("{id}", id) + query, body, Content_Type=kind)
    if answer.status == 404 and "%2F" in id:
        return  # it is the path of another route, or of none
    check(schema, method, path, answer)


@pytest.mark.parametrize(("content", "status"), [(None, 200), (b"no video", 422)])
def test_answers_about_jobs_are_documented(
    schema: Any, asking: Client, clips: list[Path], content: bytes | None, status: int
):
    sent = asking.send("a.mp4", content or clips[0].read_bytes(), page=True)
    check(schema, "POST", "/v1/jobs", sent)
    job = sent.json()
    early = asking.ask("GET", job["explanation"])
    check(schema, "GET", "/v1/jobs/{id}/explanation", early)
    for what in ("", "/events", "/explanation", "/page"):
        answer = asking.ask("GET", f"/v1/jobs/{job['id']}{what}")
        check(schema, "GET", "/v1/jobs/{id}" + what, answer)
        assert answer.status == (status if what in ("/explanation", "/page") else 200)
    check(schema, "DELETE", "/v1/jobs/{id}", asking.ask("DELETE", f"/v1/jobs/{job['id']}"))


def test_what_is_no_route(asking: Client):
    for method, path, status in (("GET", "/", 404), ("GET", "/docs", 404), ("PUT", "/v1/jobs", 405)):
        answer = asking.ask(method, path)
        assert answer.status == status
        assert answer.json()["error"].endswith("; see /openapi.json")


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


# The service runs in a thread, whose random numbers are taken for those of a strategy.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.parametrize(("method", "path"), sorted(ROUTES))
def test_schemathesis_finds_nothing_but_documented_answers(served: Running, schema: Any, method: str, path: str):
    operation = schemathesis.openapi.from_dict(schema)[path][method]

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=served.address, checks=CHECKS, timeout=WAIT_S)

    ask()
