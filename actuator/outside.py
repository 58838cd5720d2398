"""The platform and the truth that a configuration names. A platform's libraries are loaded only where it is used."""

from actuator.config import Config
from actuator.execute import Executor
from actuator.observe import Observer
from actuator.platforms.protocol import Platform
from actuator.platforms.settings import DockerConfig
from actuator.service import Outside


def open_outside(config: Config, by_hand: bool = False) -> Outside:
    """Return what the actuator touches; raise ConfigError where it cannot be reached as configured.

    ``by_hand`` is for a person's command, which works beside the replicas of a running actuator.
    """
    prometheus = config.prometheus
    observer = Observer(prometheus.url, prometheus.timeout, prometheus.scrape_interval)
    if isinstance(config.platform, DockerConfig):
        platform = _docker(config.platform)
        return Outside(platform, Executor(platform), observer)
    # 66 MB and a fifth of a second.
    from actuator.cluster import open_cluster  # noqa: PLC0415 - for this platform only

    return open_cluster(config, config.platform, observer, by_hand)


def _docker(settings: DockerConfig) -> Platform:
    from actuator.platforms.cgroup import Cgroups  # noqa: PLC0415 - for this platform only
    from actuator.platforms.docker import DockerPlatform  # noqa: PLC0415 - for this platform only
    from actuator.platforms.engine import Engine  # noqa: PLC0415 - for this platform only

    return DockerPlatform(Engine(str(settings.socket), settings.timeout), Cgroups())
