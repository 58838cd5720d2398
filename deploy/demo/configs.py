"""Configuration of a run: the shipped files with other addresses, intervals and paths, and nothing else changed."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.setup.stamps import ROOT

RULES = ROOT / "rules"


@dataclass(frozen=True)
class Pace:
    """Everything that a short run does faster than a real installation; each is a documented key."""

    interval: str = "2s"
    """The exporter's cycle."""
    scrape: str = "3s"
    """Scrapes and evaluations. A sample is at most as old as two: cAdvisor's second, a cycle and a scrape."""
    forecast: Mapping[str, object] = field(
        default_factory=lambda: {
            "step": "2s",
            "horizons": ["10s", "20s", "30s"],
            "min_history": "20s",
            "retrain_interval": "60s",
            "max_series_per_training": 6,
        }
    )
    learn: str = "60s"
    limits: Mapping[str, object] = field(
        default_factory=lambda: {"cooldown": "30s", "start_up_grace": "20s", "host_headroom": 0.02}
    )
    """Keys of the actuator's ``limits`` that differ from its defaults."""


@dataclass(frozen=True)
class Files:
    """The generated files of a run, all in its directory."""

    directory: Path

    @property
    def exporter(self) -> Path:
        """Configuration of cpp-exporter."""
        return self.directory / "exporter.yml"

    @property
    def learned(self) -> Path:
        """Directory in which cpp-exporter keeps what it learned."""
        return self.directory / "learned"

    @property
    def actuator(self) -> Path:
        """Configuration of cpp-actuator."""
        return self.directory / "actuator.yml"

    @property
    def prometheus(self) -> Path:
        """Configuration of Prometheus."""
        return self.directory / "prometheus.yml"

    @property
    def alertmanager(self) -> Path:
        """Configuration of Alertmanager."""
        return self.directory / "alertmanager.yml"

    @property
    def token(self) -> Path:
        """The secret that Alertmanager shows to the actuator."""
        return self.directory / "token"


def write_configs(run: str, directory: Path, addresses: Mapping[str, str], node: str, pace: Pace) -> Files:
    """Write all configuration of the run named ``run`` into ``directory``."""
    files = Files(directory)
    write_secret(files.token)
    write_yaml(files.exporter, exporter_config(files, addresses, node, pace))
    write_yaml(files.actuator, actuator_config(files, addresses, pace))
    write_yaml(files.prometheus, prometheus_config(run, addresses, pace))
    write_yaml(files.alertmanager, alertmanager_config(files, addresses))
    return files


def exporter_config(files: Files, addresses: Mapping[str, str], node: str, pace: Pace) -> dict[str, Any]:
    """Return the exporter's file."""
    return {
        "node": node,
        "interval": pace.interval,
        "sources": {
            "cadvisor": {"url": f"http://{addresses['cadvisor']}/metrics"},
            "probe": {"url": f"http://{addresses['probe']}/metrics"},
        },
        "forecast": dict(pace.forecast),
        "assess": {"learn": pace.learn},
        "state": {"directory": str(files.learned)},
    }


def actuator_config(files: Files, addresses: Mapping[str, str], pace: Pace) -> dict[str, Any]:
    """Return the actuator's file; it acts for real, which is not its default."""
    labels = _read_yaml(RULES / "prometheus.yml")["global"]["external_labels"]
    return {
        "dry_run": False,
        "cluster": labels["cluster"],
        "webhook": {"token_file": str(files.token)},
        "prometheus": {"url": f"http://{addresses['prometheus']}", "scrape_interval": pace.scrape},
        "ledger": {"path": str(files.directory / "ledger.sqlite")},
        "limits": dict(pace.limits),
    }


def prometheus_config(run: str, addresses: Mapping[str, str], pace: Pace) -> dict[str, Any]:
    """Return the shipped Prometheus configuration, moved to this run's addresses, pace and containers."""
    document = _read_yaml(RULES / "prometheus.yml")
    document["global"] |= {"scrape_interval": pace.scrape, "evaluation_interval": pace.scrape}
    document["global"].pop("scrape_timeout", None)
    document["rule_files"] = [str(RULES / pattern) for pattern in document["rule_files"]]
    for job in document["scrape_configs"]:
        job["static_configs"] = [{"targets": [addresses[_part(job["job_name"])]]}]
        job.pop("scrape_interval", None)
        job.pop("scrape_timeout", None)
        # Containers of others may run on this machine; what is not stored can neither alarm nor be acted on.
        own = {"source_labels": ["container"], "regex": f"({run}-.*)?", "action": "keep"}
        job.setdefault("metric_relabel_configs", []).append(own)
    for manager in document["alerting"]["alertmanagers"]:
        manager["static_configs"] = [{"targets": [addresses["alertmanager"]]}]
    return document


def alertmanager_config(files: Files, addresses: Mapping[str, str]) -> dict[str, Any]:
    """Return the shipped Alertmanager configuration with this run's actuator and token."""
    document = _read_yaml(RULES / "alertmanager.yml")
    for receiver in document["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = f"http://{addresses['actuator']}/alerts"
            webhook["http_config"]["authorization"]["credentials_file"] = str(files.token)
    return document


def _part(job: str) -> str:
    return job.removeprefix("cpp-")


def _read_yaml(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def write_yaml(path: Path, document: Mapping[str, Any]) -> None:
    """Write a configuration."""
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False))


def write_secret(path: Path) -> None:
    """Write a new secret that only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
