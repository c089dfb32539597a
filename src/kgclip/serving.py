"""What the page and the service share: limits on what people send, and the address that is listened at."""

import socket
from dataclasses import dataclass

from kgclip.errors import KgclipError

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What one person may ask for.

    Attributes:
        size_mb: of a file, in MB of 2²⁰ bytes.
        length_s: of a video.
        wait_s: for an answer, those before in the queue included.
        files: at a time.
    """

    size_mb: int = 100
    length_s: float = 60.0
    wait_s: float = 60.0
    files: int = 100

    def __str__(self) -> str:
        return f"{self.size_mb} MB and {self.length_s:g} s"

    def check_options(self) -> None:
        """Refuse limits that nothing can keep, by the names of the options that gave them.

        Raises:
            KgclipError: one is not above 0.
        """
        for name in ("size_mb", "length_s", "wait_s"):
            value = getattr(self, name)
            if not value > 0:
                raise KgclipError(f"--max-{name.replace('_', '-')} {value}: takes nothing; give more than 0")

    def check_size(self, file: str, num_bytes: int) -> None:
        """Refuse a file that is too large.

        Raises:
            KgclipError: it is; the sentence names the file as given.
        """
        if num_bytes > self.size_mb * MEGABYTE:
            raise KgclipError(f"{file}: is larger than the {self.size_mb} MB that are taken here; make it smaller")

    def check_length(self, file: str, duration_s: float) -> None:
        """Refuse a video that is too long.

        Raises:
            KgclipError: it is; the sentence names the file as given.
        """
        if duration_s > self.length_s:
            raise KgclipError(
                f"{file}: lasts {duration_s:.1f} s, and up to {self.length_s:g} s are taken here; "
                "cut it, or find what happens in it with `kgclip watch`"
            )

    def too_late(self) -> KgclipError:
        """What is said when the time is over."""
        return KgclipError(
            f"no answer within {self.wait_s:g} s: the model is slow here or busy with others; "
            "try again, or a shorter clip"
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises:
        KgclipError: there is no such port, or the address cannot be listened at.
    """
    if not 0 <= port < 2**16:
        raise KgclipError(f"--port {port}: is none; give one from 0 to 65535")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise KgclipError(
            f"--host {host} --port {port}: cannot listen there ({error}); give another --host or --port"
        ) from error


def address_of(listener: socket.socket) -> str:
    """Where a browser finds it: ``http://127.0.0.1:7860``."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
