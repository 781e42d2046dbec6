"""A deploy as a script: asks `tests.support.deployments` for a restart and waits until it is done.

python deploy.py PORT drained|killed
"""

import socket
import sys

if __name__ == "__main__":
    port, how = sys.argv[1:]
    print(f"restarting ({how})", flush=True)
    with socket.create_connection(("127.0.0.1", int(port))) as door:
        door.sendall(how.encode() + b"\n")
        answer = door.makefile().readline().strip()
    print(f"restart {answer or 'failed'}", flush=True)
    sys.exit(answer != "done")
