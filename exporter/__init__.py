"""The exporter: learns a Container Personality Profile of each container on its node and publishes it."""

import os

# Before numpy loads: its arrays here are too small for threads, which would only spin and count as CPU.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
