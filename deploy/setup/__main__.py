"""``python3 -m deploy.setup``: make a fresh machine ready for the demo and the tests; safe to run again."""

import argparse
import sys
import time

from deploy.setup.builds import build_programs, make_environment
from deploy.setup.engine import start_engine, stop_engine
from deploy.setup.kubernetes import build_kubernetes, build_kwok
from deploy.setup.packages import install_packages
from deploy.setup.shell import SetupError, say


def main() -> int:
    """Run the steps that are not done yet; return the exit status."""
    parser = argparse.ArgumentParser(prog="deploy.setup", description=__doc__)
    parser.add_argument("--for-tests", action="store_true", help="install what only tests and benches need as well")
    parser.add_argument("--for-kubernetes", action="store_true", help="install and build a cluster for tests as well")
    parser.add_argument("--start-engine", metavar="OWNER", help="only make sure that Docker answers")
    parser.add_argument("--stop-engine", metavar="OWNER", help="only stop the Docker that OWNER had started")
    options = parser.parse_args()
    try:
        if options.start_engine:
            start_engine(options.start_engine)
        elif options.stop_engine:
            stop_engine(options.stop_engine)
        else:
            _set_up(options.for_tests, options.for_kubernetes)
    except SetupError as error:
        say(f"setup: {error}")
        return 1
    return 0


def _set_up(for_tests: bool, for_kubernetes: bool) -> None:
    began = time.monotonic()
    install_packages(for_tests, for_kubernetes)
    make_environment()
    build_programs()
    if for_kubernetes:
        build_kubernetes()
        build_kwok()
    say(f"setup: ready ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    sys.exit(main())
