"""What the API server says of persistent volumes: from which nodes they can be reached."""

from actuator.platforms.kubernetes.documents import Document
from actuator.platforms.kubernetes.scheduling import NodeChoice


class ClaimSpec(Document):
    """What a claim is bound to."""

    volume_name: str = ""


class BoundClaim(Document):
    """``GET /api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}``."""

    spec: ClaimSpec = ClaimSpec()


class VolumeNodes(Document):
    """From which nodes a volume can be reached."""

    required: NodeChoice | None = None


class VolumeSpec(Document):
    """Where a persistent volume is."""

    node_affinity: VolumeNodes = VolumeNodes()


class PersistentVolume(Document):
    """``GET /api/v1/persistentvolumes/{name}``."""

    spec: VolumeSpec = VolumeSpec()
