"""What the Engine says of a container and its host: the few fields used, validated."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from actuator.platforms.own import is_own

_OPT_OUT = "cpp.opt-out"
_OWN_LABEL = "cpp.part"
_SERVICE_LABELS = ("com.docker.swarm.service.name", "com.docker.swarm.service.id")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_pascal)


class State(_Document):
    """Whether and as which process it runs."""

    running: bool
    pid: int
    started_at: str


class Settings(_Document):
    """What it was created with."""

    image: str = ""
    labels: dict[str, str] | None = None


class HostConfig(_Document):
    """Its resources as the Engine remembers them; 0 is unset. The kernel, not this, says what is in force."""

    nano_cpus: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    memory: int = 0
    memory_swap: int = 0


class Container(_Document):
    """``GET /containers/{id}/json``."""

    path: str = ""
    state: State
    config: Settings
    host_config: HostConfig

    @property
    def pid(self) -> int | None:
        """Its first process; None where it does not run."""
        return self.state.pid if self.state.running and self.state.pid > 0 else None

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, also where the Engine writes null."""
        return self.config.labels or {}

    @property
    def opted_out(self) -> bool:
        """Any value but ``false`` opts out, so that a slip of the pen errs on the safe side."""
        return self.labels.get(_OPT_OUT, "false") != "false"

    @property
    def managed_by(self) -> str:
        """The Swarm service that owns its limits; empty for none."""
        service = next((self.labels[name] for name in _SERVICE_LABELS if name in self.labels), None)
        return f"swarm service {service}" if service else ""

    @property
    def own_part(self) -> bool:
        """By label, or by the last part of the image's or the command's name."""
        programs = (self.config.image, self.path)
        return _OWN_LABEL in self.labels or any(map(is_own, programs))

    @property
    def started_at(self) -> float:
        """Epoch seconds."""
        return datetime.fromisoformat(self.state.started_at).timestamp()


class Version(_Document):
    """``GET /version``, which is asked without a version."""

    api_version: str = Field(pattern=r"^\d+\.\d+$")


class Host(_Document):
    """``GET /info``."""

    cpus: int = Field(alias="NCPU", gt=0)
    memory: int = Field(alias="MemTotal", gt=0)
