"""The parts of cpp-exporter's configuration: their keys, defaults and what each means."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from exporter.durations import Duration


class Section(BaseModel):
    """A part of the file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class SourceConfig(Section):
    """Where a source's exposition text is read."""

    url: str
    """Address of the text, for example http://127.0.0.1:8080/metrics."""
    timeout: Duration = 5.0
    """How long one read may take."""
    token_file: Path | None = None
    """File with a bearer token, sent with each read; read again when it changes."""
    ca_file: Path | None = None
    """Certificates of the authority that an https address is trusted by; null for those that the host trusts."""
    verify: bool = True
    """Whether an https address must show a trusted certificate; without it the token is shown to whoever answers."""


class KubeletConfig(SourceConfig):
    """Where a kubelet tells which pods its node runs: their owners, annotations and requests."""

    refresh: Duration = 30.0
    """Longest time between two reads; a container that comes or goes causes one at once."""


class BackfillConfig(Section):
    """Past usage read once from Prometheus at start, so that a restart forgets nothing."""

    url: str
    """Address of Prometheus, for example http://127.0.0.1:9090."""
    window: Duration = 86400.0
    """How far back to read."""
    timeout: Duration = 30.0
    """How long all reads together may take; what came until then is used."""


class SourcesConfig(Section):
    """What is read."""

    cadvisor: SourceConfig = SourceConfig(url="http://127.0.0.1:8080/metrics")
    """cAdvisor, or a kubelet's /metrics/cadvisor."""
    probe: SourceConfig | None = SourceConfig(url="http://127.0.0.1:17901/metrics")
    """cpp-probe; null to do without kernel counters."""
    kubelet: KubeletConfig | None = None
    """On Kubernetes the kubelet's /pods; null elsewhere."""
    prometheus: BackfillConfig | None = None
    """Prometheus to fill the history from at start; null to start empty."""


class HistoryConfig(Section):
    """How much is remembered of each container, whatever the churn."""

    window: Duration = 3600.0
    """Span kept at the cycle's interval, for scores and /profiles; at least ten intervals."""
    forecast_window: Duration = 86400.0
    """Span kept at forecast.step, for the forecast; at least twice the longest horizon."""
    max_containers: int = Field(default=1000, ge=1)
    """Rows set aside; containers beyond it are left out and counted in cpp_dropped_series_total."""


class ForecastConfig(Section):
    """What is forecast, and when models are trained anew."""

    step: Duration = 60.0
    """Spacing of the history that models see; horizons are multiples of it."""
    horizons: tuple[Duration, ...] = (300.0, 900.0, 1800.0)
    """How far ahead, one to three of them."""
    retrain_interval: Duration = 3600.0
    """Time between two training passes of the child process."""
    arima: bool = True
    """Let the training child fit ARIMA by pmdarima; needs the exporter extra."""
    max_series_per_training: int = Field(default=200, ge=0)
    """ARIMA order searches a pass, worst loss first."""
    min_history: Duration = 1800.0
    """Measured forecasts needed over this span before a forecast may be trusted."""


class ThresholdsConfig(Section):
    """Where a score becomes an alarm; served as cpp_alarm_threshold_ratio, which the rules compare with."""

    cpu_burst: float = Field(default=0.8, gt=0, le=1)
    """cpp_cpu_burst_ratio."""
    memory_leak: float = Field(default=0.8, gt=0, le=1)
    """cpp_memory_leak_ratio."""
    network_flood: float = Field(default=0.8, gt=0, le=1)
    """cpp_network_flood_ratio."""
    interference_suffered: float = Field(default=0.2, gt=0, le=1)
    """cpp_interference_suffered_ratio."""
    interference_caused: float = Field(default=0.2, gt=0, le=1)
    """cpp_interference_caused_ratio."""
    anomaly: float = Field(default=0.8, gt=0, le=1)
    """cpp_anomaly_ratio."""
    security_risk: float = Field(default=0.8, gt=0, le=1)
    """cpp_security_risk_ratio."""


class AlarmsConfig(Section):
    """How often a container may raise an alarm on an ordinary day's work: scores of calls are calibrated to it."""

    anomaly: float = Field(default=1.0, gt=0)
    """Times that CppAnomaly may fire: resources pass .8 so often; calls so that two in five minutes do."""
    security_risk: float = Field(default=5.0, gt=0)
    """The same of cpp_security_risk_ratio, because of an ordinary call that was never made before."""


class AssessConfig(Section):
    """How scores are made."""

    learn: Duration = 1800.0
    """How long a workload's behaviour is learned before its profile counts as finished."""
    hold: Duration = 180.0
    """How long evidence of a security risk counts in full after it was seen."""
    alarms_per_container_month: AlarmsConfig = AlarmsConfig()
    """False alarms that are allowed for."""
    thresholds: ThresholdsConfig = ThresholdsConfig()
    """Where a score becomes an alarm."""


class StateConfig(Section):
    """Where what was learned is kept, so that a restart goes on where it stopped."""

    directory: Path | None = None
    """A directory for this exporter alone, made if it is not there; null to learn anew after a restart."""
    interval: Duration = 900.0
    """Time between two savings, which is what a crash may lose; the exporter also saves when it is stopped."""
