"""Keeps what is learned in a state directory: reads it once, saves it while nothing turns, and at the end."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
from numpy.typing import NDArray

from exporter.durations import format_duration
from exporter.persist.arrays import Arrays, MismatchError
from exporter.persist.file import About, DamagedError, opened, remove_unfinished, write
from exporter.sections import StateConfig

FORMAT: Final = 7
"""Raise it whenever the meaning of an array changes while its name, type and shape stay."""
FILE: Final = "state.npz"
DAMAGED: Final = "state.npz.damaged"
_AHEAD = 60.0
"""Seconds that a file may have been saved after now: clocks are corrected by less."""

_PATIENCE = 3600.0
"""Seconds for which a file from later than now is left in place: some hosts learn the time only after a boot."""
_AGAIN = 15.0
"""Seconds after which a saving that failed is tried again; twice as many each time it fails again."""
_DOUBLINGS = 10

_log = structlog.get_logger(__name__)


class _OvertakenError(Exception):
    """A turn began before everything was copied."""


class _EarlyError(Exception):
    """The file was saved, at ``args[0]``, later than now."""


class Keeper:
    """One file in ``config.directory``; without a directory it keeps nothing. ``made_with`` is what shapes arrays."""

    def __init__(self, config: StateConfig, made_with: dict[str, Any]) -> None:
        self._directory = config.directory
        self._interval = config.interval
        self._made_with = json.loads(json.dumps(made_with))
        self._quiet = threading.Lock()
        self._turns = 0
        self._began: float | None = None
        """When the last saving began."""
        self._writer: threading.Thread | None = None
        self._failures = 0
        """Savings that failed since the last good one."""
        self._early: tuple[float, float] | None = None
        """When a file that is left for the clock was saved, and when it was found."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold while what is learned changes; it is never copied meanwhile, and a copy half made is given up."""
        with self._quiet:
            self._turns += 1
            yield

    def load(self, restore: Callable[[Arrays, float], None], now: float) -> float | None:
        """Hand what was saved, and when, to ``restore``; return when that was, None where nothing was taken.

        A file that is damaged, or of another version or configuration, is set aside with one line in the log.
        One from later than now is left until the clock is right, see ``ripe``.
        ``restore`` raises MismatchError where the arrays are not its own.
        """
        if self._directory is None:
            return None
        try:
            _make(self._directory)
            remove_unfinished(self._directory)
            with opened(self._directory / FILE) as (about, arrays):
                at = self._time_of(about, now)
                restore(arrays, at)
        except FileNotFoundError:
            return None
        except _EarlyError as error:
            self._leave(self._directory, error.args[0], now)
            return None
        except (DamagedError, MismatchError) as error:
            self._set_aside(self._directory, str(error))
            return None
        except OSError as error:
            _log.warning("state cannot be read; learning anew", directory=str(self._directory), reason=str(error))
            return None
        _log.info("state restored", file=str(self._directory / FILE), age=format_duration(round(max(now - at, 0))))
        return at

    def reject(self, reason: str) -> None:
        """Set aside what ``load`` has handed out, since nothing can be done with it."""
        if self._directory is not None:
            self._set_aside(self._directory, reason)

    def ripe(self, now: float) -> bool:
        """Return whether a file from later than the clock said may be loaded, as the clock has been put right.

        Nothing is saved until then; after an hour it is the file that is taken to be wrong.
        """
        if self._directory is None or self._early is None:
            return False
        saved, found = self._early
        right = saved <= now + _AHEAD
        late = not right and now - found >= _PATIENCE
        self._early = None if right or late else (saved, min(found, now))
        if late:
            self._set_aside(self._directory, "it was saved later than now, and the clock stays")
        return right

    def offer(self, export: Callable[[], Arrays], now: float) -> None:
        """Begin to save, in a thread, if it is time; call between two turns, from where turns are made."""
        busy = self._writer is not None and self._writer.is_alive()
        if self._directory is None or busy or self._early is not None or not self._due(now):
            return
        self._began = now
        arguments = (self._directory, export(), now, self._turns)
        self._writer = threading.Thread(target=self._save, args=arguments, daemon=True, name="save")
        self._writer.start()

    def close(self, export: Callable[[], Arrays], now: float) -> None:
        """Save what was learned last; what is being saved is given up for it."""
        if self._directory is None or self._early is not None:
            return
        with self.turn():
            pass
        if self._writer is not None:
            self._writer.join()
        self._save(self._directory, export(), now, self._turns)

    def _due(self, now: float) -> bool:
        if self._began is None:
            self._began = now
        soon = _AGAIN * 2.0 ** min(self._failures - 1, _DOUBLINGS) if self._failures else math.inf
        return not 0 <= now - self._began < min(soon, self._interval)

    def _save(self, directory: Path, arrays: Arrays, now: float, turn: int) -> None:
        def copy(piece: NDArray[Any]) -> bytes:
            with self._quiet:
                if self._turns != turn:
                    raise _OvertakenError("a turn began before all was copied")
                return piece.tobytes()

        about = {"format": FORMAT, "made_with": self._made_with, "at": now}
        try:
            _make(directory)
            size = write(directory / FILE, about, arrays, copy)
        except (OSError, _OvertakenError) as error:
            if not self._failures:
                _log.warning("state not saved; trying again", file=str(directory / FILE), reason=str(error))
            self._failures += 1
            return
        self._failures = 0
        _log.debug("state saved", file=str(directory / FILE), bytes=size)

    def _time_of(self, about: About, now: float) -> float:
        """Return when the file was saved; raise MismatchError if it is not for this program as configured.

        Raise _EarlyError if it is from later than ``now``.
        """
        if about.get("format") != FORMAT:
            raise MismatchError(f"it is of format {about.get('format')}, this program reads {FORMAT}")
        before, at = about.get("made_with"), about.get("at")
        if not isinstance(before, dict) or not isinstance(at, float) or not math.isfinite(at):
            raise MismatchError("it does not say what it was made with, or when it was saved")
        for key, value in self._made_with.items():
            if before.get(key) != value:
                raise MismatchError(f"it was made with {key} {before.get(key)}, now it is {value}")
        if at > now + _AHEAD:
            raise _EarlyError(at)
        return at

    def _leave(self, directory: Path, saved: float, now: float) -> None:
        self._early = saved, now
        ahead = format_duration(round(saved - now))
        _log.warning(
            "state is from later than now; left until the clock is right", file=str(directory / FILE), by=ahead
        )

    def _set_aside(self, directory: Path, reason: str) -> None:
        file, damaged = directory / FILE, directory / DAMAGED
        _log.warning("state set aside; everything is learned anew", file=str(file), kept_as=str(damaged), reason=reason)
        try:
            file.replace(damaged)
        except OSError as error:
            _log.warning("state could not be set aside", file=str(file), reason=str(error))


def _make(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
