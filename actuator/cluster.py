"""The actuator in a cluster: its platform, and several replicas of it with one ledger in the cluster's objects."""

import os
import socket
import time
import uuid
from pathlib import Path

from kubernetes.client import ApiClient

from actuator.config import Config
from actuator.leader import LeaseElection
from actuator.ledger.mirror import Mirror
from actuator.ledger.mirrored import MirroredLedger
from actuator.moving import Moving
from actuator.observe import Observer
from actuator.outlook import Scout
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.cluster_view import ClusterView
from actuator.platforms.kubernetes.connect import connect
from actuator.platforms.kubernetes.fence import FencedClient
from actuator.platforms.kubernetes.lately import Lately
from actuator.platforms.kubernetes.leases import ClusterLease, LeaderLabel
from actuator.platforms.kubernetes.moves import Moves
from actuator.platforms.kubernetes.orders import OrderObjects
from actuator.platforms.kubernetes.placeholders import Placeholders
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from actuator.platforms.kubernetes.steering_check import SteeringCheck
from actuator.platforms.settings import KubernetesConfig
from actuator.relocate import MovingExecutor
from actuator.service import ALONE, Outside, Replicas

_STEERING_COUNTS_FOR = 10.0
"""Seconds; it is looked at anew before each eviction."""


def open_cluster(config: Config, settings: KubernetesConfig, observer: Observer, by_hand: bool) -> Outside:
    """Return what the actuator touches; raise ConfigError where the API server cannot be spoken to."""
    client = connect(settings)
    replicas = ALONE if by_hand else _replicas(config, settings, client)
    fenced = FencedClient(client.configuration, replicas.election.leads)
    api = ClusterApi(fenced, settings.timeout)
    platform = KubernetesPlatform(api, settings, observer.memory_in_use)
    hands = Moves(api, Placeholders(api, settings))
    scout = Scout(observer.query, config.prometheus.scrape_interval)
    steering = SteeringCheck(api, config.admission, time.time)
    moving = Moving(
        ClusterView(api, settings.namespace), hands, scout, Lately(steering, _STEERING_COUNTS_FOR, time.monotonic)
    )
    return Outside(platform, MovingExecutor(platform, hands, steering), observer, replicas, moving)


def _replicas(config: Config, settings: KubernetesConfig, client: ApiClient) -> Replicas:
    pod = os.environ.get("POD_NAME", "")
    election = LeaseElection(ClusterLease(client, settings.namespace), _name(pod))
    fenced = FencedClient(client.configuration, election.leads)
    objects, cooldown = OrderObjects(fenced, settings.namespace), config.limits.cooldown

    def open_ledger(path: Path) -> MirroredLedger:
        return MirroredLedger(path, Mirror(objects, cooldown, time.time))

    announce = LeaderLabel(fenced, settings.namespace, pod).take if pod else ALONE.announce
    return Replicas(election, open_ledger, announce)


def _name(pod: str) -> str:
    """One for each process: a replica that was restarted must not take its former self's lease for its own."""
    return f"{pod or socket.gethostname()}_{uuid.uuid4()}"
