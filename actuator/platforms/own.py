"""What belongs to this system and its monitoring, by the names of its programs."""

import re

_NAMES = re.compile(r"(cpp-(exporter|probe|actuator)|prometheus|alertmanager|cadvisor)\b")


def is_own(program: str) -> bool:
    """Tell by the last part of an image's or a command's name."""
    return _NAMES.match(program.rsplit("/", 1)[-1]) is not None
