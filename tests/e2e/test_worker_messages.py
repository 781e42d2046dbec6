"""What a master makes of its workers' messages, whatever they are.

In a process of its own: importing Locust patches the standard library.
"""

import json
import subprocess
import sys

from tests.support.places import ROOT

SCRIPT = """
import json
from types import SimpleNamespace
from loadtest.results.interval import encode, pack
from loadtest.locust_plugin.worker_messages import VERSION, Workers
from tests.support.runs import interval

class Runner:
    worker_index_max = 3
    clients = SimpleNamespace(all=[])

    def register_message(self, name, listener):
        self.heard = listener

    def get_worker_index(self, node_id):
        return int(node_id)

runner, taken, ended = Runner(), [], []
workers = Workers(runner, taken.append, ended.append)
workers.begin("now")

def say(worker, data):
    runner.heard(SimpleNamespace(node_id=str(worker), data=data))

usual = {"version": VERSION, "run_id": "now"}
packed = encode(pack(interval(0), 7))
say(0, usual | {"interval": packed})
say(0, usual | {"finished": True})
say(1, usual | {"run_id": "before", "interval": packed})
say(1, usual | {"run_id": "before", "finished": True})
missing = {"sound": sorted(workers.missing)}
for number, wrong in enumerate([
    None, [], "text", {},
    usual | {"interval": "no bytes"}, usual | {"interval": b"junk"}, usual | {"interval": 3},
    usual | {"token": "x" * 20_000}, usual | {"token": 3},
    {"version": "0.0", "run_id": "now", "finished": True}, {"version": VERSION, "failed": "broken"},
], start=10):
    say(number, wrong)
    say(number, usual | {"finished": True})
assert ended == []
say(21, usual | {"failed": "mistake in the dialect: Chat.read", "by_user": True})
for number in range(150):
    say(0, usual | {"token": f"token-{number}"})
say(10, usual | {"token": "token-of-10"})
tokens = [len(workers.tokens), *workers.tokens[-2:]]
mistakes = [str(one) for one in ended]
print(json.dumps([missing, sorted(workers.missing), [one.worker for one in taken], mistakes, tokens]))
"""


def test_what_cannot_be_understood_makes_a_worker_missing() -> None:
    """Sound messages count for the worker they came from, those of an earlier run for nothing."""
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    sound, missing, taken, mistakes, tokens = json.loads(told.stdout)
    assert sound == {"sound": []}
    assert missing == list(range(10, 22))
    assert taken == [0]
    assert tokens == [101, "token-149", "token-of-10"], "the latest of each, bounded"
    assert mistakes == ["mistake in the dialect: Chat.read"], "only this ends the run"
    assert [line.split(":")[0] for line in told.stderr.splitlines()] == [f"worker {n}" for n in missing]
