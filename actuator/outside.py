"""The platform and the truth that a configuration names. A platform's libraries are loaded only where it is used."""

from actuator.config import Config
from actuator.execute import Executor
from actuator.observe import Observer
from actuator.platforms.protocol import Platform
from actuator.platforms.settings import DockerConfig, KubernetesConfig
from actuator.service import Outside


def open_outside(config: Config) -> Outside:
    """Return what the actuator touches; raise ConfigError where it cannot be reached as configured."""
    prometheus = config.prometheus
    observer = Observer(prometheus.url, prometheus.timeout, prometheus.scrape_interval)
    platform = _platform(config.platform, observer)
    return Outside(platform, Executor(platform), observer)


def _platform(settings: DockerConfig | KubernetesConfig, observer: Observer) -> Platform:
    return _docker(settings) if isinstance(settings, DockerConfig) else _kubernetes(settings, observer)


def _docker(settings: DockerConfig) -> Platform:
    from actuator.platforms.cgroup import Cgroups  # noqa: PLC0415 - for this platform only
    from actuator.platforms.docker import DockerPlatform  # noqa: PLC0415 - for this platform only
    from actuator.platforms.engine import Engine  # noqa: PLC0415 - for this platform only

    return DockerPlatform(Engine(str(settings.socket), settings.timeout), Cgroups())


def _kubernetes(settings: KubernetesConfig, observer: Observer) -> Platform:
    # 66 MB and a fifth of a second.
    from actuator.platforms.kubernetes.api import Api  # noqa: PLC0415 - for this platform only
    from actuator.platforms.kubernetes.connect import connect  # noqa: PLC0415 - for this platform only
    from actuator.platforms.kubernetes.platform import KubernetesPlatform  # noqa: PLC0415 - for this platform only

    return KubernetesPlatform(Api(connect(settings), settings.timeout), settings, observer.memory_in_use)
