"""cpp-probe: count in the kernel what containers do, and serve it as Prometheus counters."""

import argparse
import logging
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from waitress.server import create_server

from exporter.addresses import listen_address
from exporter.probe.cgroups import Hierarchy, HierarchyError, find_hierarchy
from exporter.probe.logs import FORMATS, LEVELS, set_up_logging
from exporter.probe.loop import count_forever, parse_interval
from exporter.probe.pairs import Pairs
from exporter.probe.probe import Probe
from exporter.probe.render import Renderer
from exporter.probe.syscalls import SyscallNames
from exporter.probe.tally import Tally
from exporter.probe.web import create_app

_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; return the exit code: 1 for a failure, 2 for bad input."""
    options = _parser().parse_args(arguments)
    set_up_logging(options.log_level, options.log_format)
    signal.signal(signal.SIGTERM, _stop)
    try:
        hierarchy = Hierarchy(find_hierarchy(options.cgroup_root))
        probe = Probe(hierarchy, Tally(), Pairs(), time.time, patience=5 * (1 + options.interval))
        _serve(options.listen, probe)
        count_forever(probe, options.interval)
    except (HierarchyError, OSError) as error:
        _log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cpp-probe", description=__doc__)
    add = parser.add_argument
    add(
        "--web.listen-address",
        dest="listen",
        default="127.0.0.1:17901",
        type=_address,
        metavar="HOST:PORT",
        help="where to serve /metrics, :PORT for all addresses (default %(default)s)",
    )
    add(
        "--cgroup.root",
        dest="cgroup_root",
        type=Path,
        default=Path("/sys/fs/cgroup"),
        metavar="DIR",
        help="where the host's cgroup file system is (default %(default)s)",
    )
    add(
        "--interval",
        type=_interval,
        default=1.0,
        metavar="DURATION",
        help="how often the kernel's counts are read, 100ms to 60s (default 1s)",
    )
    add("--log.level", dest="log_level", default="info", choices=LEVELS, help="what to log (default %(default)s)")
    add("--log.format", dest="log_format", default="logfmt", choices=FORMATS, help="how to log (default %(default)s)")
    return parser


def _address(text: str) -> str:
    try:
        return listen_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _interval(text: str) -> float:
    try:
        return parse_interval(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no interval from 100ms to 60s; write for example 1s") from error


def _serve(listen: str, probe: Probe) -> None:
    """Answer scrapes from threads of their own; the main thread feeds the probe."""
    app = create_app(probe, Renderer(SyscallNames()))
    try:
        server = create_server(app, listen=listen, threads=2, ident="cpp-probe")
    except (OSError, ValueError) as error:
        raise OSError(f"cannot listen on {listen}: {error}; another address: --web.listen-address") from error
    threading.Thread(target=server.run, name="web", daemon=True).start()
    _log.info("serving on %s", listen)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
