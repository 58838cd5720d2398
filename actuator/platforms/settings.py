"""Where containers run: the ``platform:`` section of the configuration, one kind of several."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, FilePath

from actuator.durations import Duration
from actuator.sections import Section


class DockerConfig(Section):
    """One Docker Engine on this host."""

    kind: Literal["docker"] = "docker"
    """The platform."""
    socket: Path = Path("/var/run/docker.sock")
    """The Engine's Unix socket."""
    timeout: Duration = 10.0
    """How long one call may take."""


class KubernetesConfig(Section):
    """One cluster."""

    kind: Literal["kubernetes"] = "kubernetes"
    """The platform."""
    namespace: str = Field(default="cpp-system", pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    """Where this program and its own objects are; nothing in it is ever acted upon."""
    kubeconfig: FilePath | None = None
    """Whom to be outside of a cluster; without it the pod's service account."""
    timeout: Duration = 10.0
    """How long one call may take; a change is given up sooner, before another replica could lead."""
    resize_patience: Duration = 30.0
    """A resize that is not in force after this is taken back."""
    placeholder_image: str = "registry.k8s.io/pause:3.10"
    """What runs in the pods that hold reserved room; it does nothing."""
    placeholder_patience: Duration = 5.0
    """Room that the scheduler has not found after this is not held."""


def _docker_unless_said(section: object) -> object:
    return {"kind": "docker", **section} if isinstance(section, dict) else section


PlatformConfig = Annotated[
    DockerConfig | KubernetesConfig, Field(discriminator="kind"), BeforeValidator(_docker_unless_said)
]
