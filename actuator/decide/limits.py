"""The bounds within which the actuator may act: the ``limits:`` section of its configuration."""

from pydantic import BaseModel, ConfigDict, Field

from actuator.durations import Duration


class Limits(BaseModel):
    """Shares are 0-1, durations seconds or texts such as ``5m``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    raise_multiple: float = Field(2.0, ge=1)
    """No limit is raised over this multiple of what the owner set."""
    host_headroom: float = Field(0.1, ge=0, lt=1)
    """Share of the host's capacity that raises and reservations leave free."""
    min_change: float = Field(0.02, ge=0, lt=1)
    """A change of a limit by less than this share of it is not worth an action."""

    reserve_threshold: float = Field(1.1, ge=1)
    """Reserve only where the .9 forecast exceeds the limit times this."""
    reserve_margin: float = Field(1.1, ge=1)
    """The limit to hold capacity for, as a multiple of the .9 forecast."""
    reservation_ttl: Duration = 1800.0
    """A reservation ends by itself this long after it is due."""

    activate_pressure: float = Field(0.8, gt=0, le=1)
    """Usage over this share of the limit counts as demand that shows."""
    throttled: float = Field(0.05, ge=0, lt=1)
    """Throttled periods over this share count as demand that shows, and as evidence for a second raise."""
    lead_time: Duration = 60.0
    """A reservation is activated this long before it is due."""
    leak_multiple: float = Field(1.25, gt=1)
    """The one raise that a leaking container gets, as a multiple of its memory limit."""

    reclaim_margin: float = Field(1.15, ge=1)
    """The reclaimed limit, as a multiple of the larger of the peak and the .99 forecast."""
    reclaim_step: float = Field(0.5, gt=0, lt=1)
    """One reclaim takes at most this share of the limit away."""
    reclaim_history: Duration = 1800.0
    """No reclaim from a container watched for less than this."""
    reclaim_least_memory: float = Field(64.0 * 2**20, ge=0)
    """No reclaim leaves a container less memory than this many bytes: a start or a shell needs more than the idle."""
    memory_floor: float = Field(1.15, ge=1)
    """No memory limit is set under this multiple of the usage at that moment."""

    throttle_step: float = Field(0.5, gt=0, lt=1)
    """A throttle takes at most this share of what the container uses now."""
    throttle_floor: float = Field(0.05, ge=0.01)
    """No CPU limit is set under this many cores."""
    throttle_patience: Duration = 300.0
    """A throttle in force is tightened further only after this, however short the cooldown."""
    throttle_ttl: Duration = 600.0
    """The owner's limit returns after this; each relapse doubles it."""
    throttle_ttl_max: Duration = 3600.0
    """The longest hold that relapses can reach."""

    move_horizon: Duration = 1800.0
    """What a move wins is counted over this time."""
    move_margin: float = Field(1.5, ge=1)
    """Move after a breach only where the benefit is over this multiple of the cost."""
    move_ahead_margin: float = Field(3.0, ge=1)
    """The same where trouble is only forecast."""
    move_room: float = Field(0.85, gt=0, lt=1)
    """Share of a node's capacity up to which forecasts may fill it by a move after a breach."""
    move_ahead_room: float = Field(0.75, gt=0, lt=1)
    """The same where trouble is only forecast."""
    move_relief: Duration = 300.0
    """So long a culprit that can be throttled where it is has to be, before anybody is moved."""
    move_rest: Duration = 3600.0
    """A workload moved is not moved again within this."""
    move_settle: Duration = 600.0
    """No move from a node within this after the last from or to it, since forecasts must learn of that."""
    move_patience: Duration = 180.0
    """A replacement that is not Ready within this is not waited for any longer."""
    move_start_up: Duration = 60.0
    """Downtime to reckon with where no replica shows how long a start takes."""
    move_warm_up_rate: float = Field(50 * 2.0**20, gt=0)
    """Bytes a second at which a replacement comes by its working set again."""

    cooldown: Duration = 300.0
    """Rest between two actions on one container."""
    actions_per_hour: int = Field(20, ge=0)
    """Actions of any kind in any hour, over all containers."""
    deferral_deadline: Duration = 900.0
    """A change for which the node has no room now is asked for again, ever later, for this long."""
    start_up_grace: Duration = 60.0
    """Nothing is done to a container younger than this."""
