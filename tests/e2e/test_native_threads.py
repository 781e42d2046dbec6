"""Native threads in a process whose sockets Locust has patched."""

import json
import subprocess

from tests.support.children import python

LOGINS = """
from gevent import monkey; monkey.patch_all()
import json, os, socket, time
import gevent
from loadtest.locust_plugin.gevent_bridge import start_native_thread

listener = socket.create_server(("127.0.0.1", 0), backlog=200)
done = []

def log_in():
    with socket.create_connection(("localhost", listener.getsockname()[1]), timeout=10):
        done.append(True)

def held():
    return [len(os.listdir(f"/proc/self/{kind}")) for kind in ("fd", "task")]

def after(logins):
    for _ in range(logins):
        start_native_thread(log_in, ())
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s and (len(done) < logins or held() != before):
        gevent.sleep(0.05)
    return held()

before = held()
print(json.dumps({"before": before, "after": after(100), "done": len(done)}))
"""


def test_a_thread_leaves_no_files_and_no_threads_behind() -> None:
    """Each login over HTTP runs on a thread; a run that logs in a million times must not run out of files."""
    child = subprocess.run(python(LOGINS), capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    held = json.loads(child.stdout)
    assert held["done"] == 100
    assert held["after"] == held["before"]
