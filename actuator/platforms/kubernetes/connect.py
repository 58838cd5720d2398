"""Who the actuator is to the API server: its pod's service account, or what a kubeconfig says."""

from collections.abc import Callable

import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_incluster_config, new_client_from_config

from actuator.config import ConfigError
from actuator.platforms.settings import KubernetesConfig

_from_file: Callable[..., ApiClient] = new_client_from_config
_from_pod: Callable[..., None] = load_incluster_config


def connect(settings: KubernetesConfig) -> ApiClient:
    """Return a client, which renews the service account's token by itself; raise ConfigError."""
    configuration = Configuration()
    # urllib3 would repeat a request, or sleep for as long as the server says, unseen by whoever waits for the answer.
    configuration.retries = False
    try:
        if settings.kubeconfig is not None:
            return _from_file(str(settings.kubeconfig), client_configuration=configuration)
        _from_pod(client_configuration=configuration)
    except (ConfigException, OSError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        where = settings.kubeconfig or "not running in a pod with a service account"
        raise ConfigError(f"platform.kubeconfig: {where}: {said}; name a file that kubectl can use") from error
    return ApiClient(configuration)
