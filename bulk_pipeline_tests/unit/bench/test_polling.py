"""Clients that poll a job, against a server with scripted answers."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bulk_pipeline.bench.polling import poll
from bulk_pipeline.errors import WrongResultError

FINISHED = frozenset({"completed"})


@contextmanager
def server(answer: Callable[[int], tuple[int, dict[str, object]]]) -> Iterator[str]:
    """Run a server with an answer for each request, over kept connections."""
    lock, count = threading.Lock(), 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            nonlocal count
            with lock:
                count += 1
                status, body = answer(count)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/jobs/1"
        finally:
            running.shutdown()
            thread.join()


def test_all_clients_ask_until_one_has_seen_the_end() -> None:
    with server(lambda n: (200, {"status": "completed" if n > 5 else "processing", "n": n})) as url:
        polls = poll(url, clients=4, finished=FINISHED, most_seconds=30)
    assert len(polls.seconds) >= 6
    assert all(seconds > 0 for seconds in polls.seconds)
    assert [state["status"] for state in polls.states] == ["processing"] * (len(polls.states) - 1) + [
        "completed"
    ]


def test_an_answer_that_is_not_200_is_no_result() -> None:
    with (
        server(lambda n: (503 if n == 3 else 200, {"status": "processing"})) as url,
        pytest.raises(WrongResultError, match="503"),
    ):
        poll(url, clients=2, finished=FINISHED, most_seconds=30)


def test_a_job_that_does_not_end_is_no_result() -> None:
    with (
        server(lambda n: (200, {"status": "processing"})) as url,
        pytest.raises(WrongResultError, match=r"not finished after 0\.3 s: .*processing"),
    ):
        poll(url, clients=2, finished=FINISHED, most_seconds=0.3)
