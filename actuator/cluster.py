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
from actuator.observe import Observer
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.connect import connect
from actuator.platforms.kubernetes.fence import FencedClient
from actuator.platforms.kubernetes.leases import ClusterLease, LeaderLabel
from actuator.platforms.kubernetes.orders import OrderObjects
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from actuator.platforms.protocol import Platform
from actuator.platforms.settings import KubernetesConfig
from actuator.service import ALONE, Replicas


def open_cluster(
    config: Config, settings: KubernetesConfig, observer: Observer, by_hand: bool
) -> tuple[Platform, Replicas]:
    """Return the platform and the replicas; raise ConfigError where the API server cannot be spoken to."""
    client = connect(settings)
    replicas = ALONE if by_hand else _replicas(config, settings, client)
    fenced = FencedClient(client.configuration, replicas.election.leads)
    return KubernetesPlatform(Api(fenced, settings.timeout), settings, observer.memory_in_use), replicas


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
