"""Run commands on a Ray cluster of two nodes on this machine, one of which is killed during the first.

    python tests/two_nodes.py PROGRESS COMMAND... -- COMMAND...

The second node is killed once the file PROGRESS has some lines. Prints the exit codes.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster

SOME_LINES, PATIENCE_S = 10, 120


def main(progress: Path, commands: list[list[str]]) -> None:
    """Start the nodes, run the commands in turn, stop."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    environment = os.environ | {"RAY_ADDRESS": cluster.address}
    codes = []
    try:
        for number, command in enumerate(commands):
            run = subprocess.Popen(command, env=environment)
            ends = time.monotonic() + PATIENCE_S
            while number == 0 and run.poll() is None and time.monotonic() < ends:
                if progress.exists() and len(progress.read_text().splitlines()) >= SOME_LINES:
                    cluster.remove_node(second, allow_graceful=False)
                    break
                time.sleep(0.01)
            codes.append(run.wait(PATIENCE_S))
    finally:
        killed = len(cluster.list_all_nodes()) == 1
        cluster.shutdown()
    print(json.dumps({"codes": codes, "killed": killed}))


if __name__ == "__main__":
    words, commands = sys.argv[2:], []
    while words:
        end = words.index("--") if "--" in words else len(words)
        commands.append(words[:end])
        words = words[end + 1 :]
    main(Path(sys.argv[1]), commands)
