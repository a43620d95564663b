"""``myoperf serve`` as a process: how it ends, and that nothing goes on after it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

IN_TIME_S = 120
"""A stop takes a few seconds, longer while other tests keep the machine busy; without a limit it takes forever."""


@pytest.fixture
def server(tmp_path):
    """Run a room and yield its process and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "myoperf", "serve", "--data", str(tmp_path / "room"), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: answers(port), seconds=120)
    yield process, port
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.communicate()


def until(condition, *, seconds=IN_TIME_S):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def children_of(process):
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def is_running(pid):
    try:
        return re.sub(r".*\) ", "", Path(f"/proc/{pid}/stat").read_text())[0] != "Z"
    except OSError:
        return False


def begin_upload(port):
    """Begin an upload that never goes on; return its connection."""
    session = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"X-MyoPerf": "1", "Content-Type": "application/json"}
    session.request("POST", "/api/session", json.dumps({"reader": "Dr Ada"}), headers)
    cookie = session.getresponse().headers["set-cookie"].split(";")[0]
    session.close()
    connection = socket.create_connection(("127.0.0.1", port))
    head = f"PUT /api/files HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-MyoPerf: 1\r\nCookie: {cookie}\r\n"
    connection.sendall(f"{head}Content-Length: 1000000\r\n\r\nthe first bytes".encode())
    return connection


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_server_ends_in_time_with_its_workers_also_during_an_upload(server, tmp_path, number):
    process, port = server
    workers = children_of(process)
    assert len(workers) >= 2
    connection = begin_upload(port)
    until(lambda: list((tmp_path / "room" / "files").glob("*.part")))
    process.send_signal(number)
    _, said = process.communicate(timeout=IN_TIME_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in said
    assert b" 503 " in connection.recv(1000)
    connection.close()
    until(lambda: not any(map(is_running, workers)))
    assert not list((tmp_path / "room" / "files").glob("*.part"))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
def test_workers_of_a_killed_server_end_too(server):
    process, _ = server
    workers = children_of(process)
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not any(map(is_running, workers)))
