"""A small S3 server on loopback: buckets that are folders, and what can go wrong with a server.

It answers the three calls that reading needs: ListObjectsV2, GetObject with a range, and HeadObject.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

# So few, that listings of tests have several pages.
PAGE = 50


@dataclass
class Buckets:
    """What a server holds, how it behaves, and what it was asked.

    Attributes:
        root: a folder with a folder for each bucket.
        port: on 127.0.0.1.
        access_key: of those who may read.
        broken: the next so many answers with a file break off in the middle.
        gone: whether the server answers nothing any more.
        asked: method and key of each question that was answered.
    """

    root: Path
    port: int = 0
    access_key: str = "the-key"
    broken: int = 0
    gone: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def serve(root: Path) -> Iterator[Buckets]:
    """A server that stops with the block."""
    buckets = Buckets(root)
    handler = type("Handler", (_Handler,), {"buckets": buckets})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    buckets.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield buckets
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    buckets: Buckets

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        bucket, _, key = unquote(address.path).lstrip("/").partition("/")
        if self.buckets.gone:
            self.close_connection = True
            return
        self.buckets.asked.append((self.command, key))
        query = {name: values[0] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
        if f"Credential={self.buckets.access_key}/" not in self.headers.get("Authorization", ""):
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif not (self.buckets.root / bucket).is_dir():
            self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        elif not key:
            self._answer(200, self._listing(self.buckets.root / bucket, query))
        else:
            self._file(self.buckets.root / bucket / key)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _file(self, path: Path) -> None:
        if not path.is_file():
            return self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        content = path.read_bytes()
        tag = {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = int(match[1]), min(int(match[2]), len(content) - 1)
            tag |= {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
            return self._answer(206, content[first : last + 1], tag)
        return self._answer(200, content, tag)

    def _listing(self, bucket: Path, query: dict[str, str]) -> bytes:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        keys = sorted(file.relative_to(bucket).as_posix() for file in bucket.rglob("*") if file.is_file())
        rows: dict[str, str] = {}
        for key in (key for key in keys if key.startswith(prefix)):
            rest = key.removeprefix(prefix)
            if delimiter and delimiter in rest:
                folder = prefix + rest.partition(delimiter)[0] + delimiter
                rows[folder] = f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            else:
                content = (bucket / key).read_bytes()
                rows[key] = (
                    f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size><LastModified>2026-01-01T00:00:00Z"
                    f'</LastModified><ETag>"{hashlib.md5(content).hexdigest()}"</ETag></Contents>'
                )
        start = int(query.get("continuation-token", "0"))
        more = start + PAGE < len(rows)
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
        page = "".join(list(rows.values())[start : start + PAGE])
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{page}</ListBucketResult>".encode()
        )

    def _answer(self, code: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if code == 206 and self.buckets.broken > 0:
            self.buckets.broken -= 1
            content, self.close_connection = content[: len(content) // 2], True
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass
