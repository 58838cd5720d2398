"""``python -m deploy.cluster DIRECTORY``: take down the cluster whose files are there, whoever had started it."""

import sys
from pathlib import Path

from deploy.cluster.cluster import Cluster

if __name__ == "__main__":
    Cluster(Path(sys.argv[1])).stop()
