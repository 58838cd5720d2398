"""Put the rooms together, and run them until told to stop."""

import faulthandler
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog
from flask import Flask
from prometheus_client import CollectorRegistry

from actuator.admission import admitting, create_admission
from actuator.auth import BasicUsers, TokenFile
from actuator.carry import Carrier
from actuator.config import Config
from actuator.crew import Crew
from actuator.duties import Duties
from actuator.eyes import Eyes
from actuator.gate import Gate
from actuator.leader import Alone, Election
from actuator.ledger.locks import hold_alone
from actuator.ledger.sqlite import SqliteLedger
from actuator.metrics import LedgerCollector, Meters, show_expiry
from actuator.moving import Moving
from actuator.platforms.protocol import Platform
from actuator.pulse import Pulse
from actuator.recovery import Recovery
from actuator.relocate import Relocations
from actuator.seams import Executor, Observer
from actuator.server import TlsSource, serving
from actuator.steering import Steering
from actuator.survey import Surveyor
from actuator.tenure import Tenure
from actuator.truth import Truth
from actuator.verdicts import Verdicts
from actuator.webconfig import WebConfig
from actuator.webhook import Desk, create_app
from actuator.worker import Peers, Worker

_LOOK_SECONDS = 1.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Replicas:
    """How several replicas share the work: one works, and the next one finds what it left."""

    election: Election
    open_ledger: Callable[[Path], SqliteLedger]
    """Opens the ledger in this file; raises LedgerError."""
    announce: Callable[[], None]
    """Makes others send to this replica; may raise PlatformError."""


ALONE = Replicas(Alone(), SqliteLedger, lambda: None)


@dataclass(frozen=True)
class Outside:
    """What the actuator touches: the platform and the truth."""

    platform: Platform
    executor: Executor
    observer: Observer
    replicas: Replicas = ALONE
    moving: Moving | None = None
    """None where the platform moves nothing."""


@dataclass(frozen=True)
class Service:
    """A worker and the HTTP application on one ledger."""

    ledger: SqliteLedger
    worker: Worker
    app: Flask
    admission: Flask | None
    """What the API server asks about new pods; None where nothing is moved."""


def build(config: Config, outside: Outside, users: BasicUsers | None, clock: Callable[[], float]) -> Service:
    """Return the parts, wired; nothing runs yet. Raises LedgerError."""
    replicas = outside.replicas
    ledger = replicas.open_ledger(config.ledger.path)
    tenure = Tenure(replicas.election, ledger, replicas.announce)
    registry = CollectorRegistry()
    meters = Meters(registry)
    gate = Gate(ledger, config.watchdog.silence, clock)
    carrier = Carrier(ledger, outside.executor, clock)
    truth, crew = Truth(outside.observer, gate, clock), Crew(meters)
    relocations = Relocations(ledger, outside.moving.hands, crew) if outside.moving else None
    duties = Duties(config, ledger, outside.platform, truth, carrier, crew)
    recovery = Recovery(ledger, outside.platform, carrier, truth, crew, config.dry_run)
    surveyor = _surveyor(outside.moving, ledger) if outside.moving else None
    eyes = Eyes(ledger, outside.platform, outside.observer, clock)
    verdicts = Verdicts(config, ledger, outside.platform, carrier, truth, surveyor, clock)
    peers = Peers(ledger, eyes, verdicts, gate, duties, recovery, crew, tenure, relocations)
    worker = Worker(peers, meters, clock)
    registry.register(LedgerCollector(ledger, gate, config.dry_run, tenure.acts))
    if config.admission is not None:
        show_expiry(registry, config.admission)
    token = TokenFile(config.webhook.token_file)
    desk = Desk(
        config.cluster, ledger, gate, token, users, registry, meters, worker.pulse, tenure.acts, worker.wake, clock
    )
    steering = Steering(ledger, outside.moving.hands, clock) if outside.moving else None
    admission = create_admission(steering) if steering else None
    return Service(ledger, worker, create_app(desk, config.webhook.max_body_bytes), admission)


def _surveyor(moving: Moving, ledger: SqliteLedger) -> Surveyor:
    return Surveyor(moving.nodes, moving.scout, moving.steering, ledger)


def run(
    config: Config,
    outside: Outside,
    listener: socket.socket,
    web: tuple[Path | None, WebConfig],
    clock: Callable[[], float],
) -> None:
    """Serve and work until SIGTERM or SIGINT; the step in hand is finished first. Raises LedgerError.

    Where the worker does not go on, the whole process ends at once.
    """
    path, web_config = web
    users = BasicUsers(web_config.basic_auth_users) if web_config.basic_auth_users else None
    tls = TlsSource(path, web_config.tls_server_config) if path and web_config.tls_server_config else None
    with hold_alone(config.ledger.path):
        service, stopped = build(config, outside, users, clock), threading.Event()
        _on_signal(stopped)
        thread = threading.Thread(name="worker", target=service.worker.run)
        with (
            serving(service.app, listener, config.webhook.max_body_bytes, tls),
            admitting(config.admission, service.admission),
            _standing(outside.replicas.election, service.worker.wake),
        ):
            thread.start()
            _log.info("serving", address=str(listener.getsockname()), dry_run=config.dry_run, tls=tls is not None)
            _watch(stopped, service.worker.pulse)
            _log.info("stopping")
            service.worker.stop()
            thread.join()
        service.ledger.close()


@contextmanager
def _standing(election: Election, changed: Callable[[], None]) -> Iterator[None]:
    """Stand for election until the block ends: the step in hand is finished by one who leads."""
    stopped = threading.Event()
    thread = threading.Thread(name="election", target=election.run, args=(stopped, changed))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _watch(stopped: threading.Event, pulse: Pulse) -> None:
    """Return when told to stop; end the process where only a new one can help.

    The lease is not given back: as after a kill, nobody leads until nothing that is in hand here can still be done.
    """
    while not stopped.wait(_LOOK_SECONDS):
        if fault := pulse.fault():
            _log.critical("ends itself", reason=fault)
            faulthandler.dump_traceback()
            os._exit(1)


def _on_signal(stopped: threading.Event) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
