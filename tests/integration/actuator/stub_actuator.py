"""An actuator whose platform and truth are asked of the test over a Unix socket; run by tests, never collected."""

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from actuator.config import load_config
from actuator.execute import Executor
from actuator.model.decisions import Notice
from actuator.model.knowledge import Allocation, KernelValue, Observation, OwnerLimits
from actuator.model.orders import Order, Target
from actuator.server import listen
from actuator.service import Outside, run
from actuator.webconfig import load_web_config


class Remote:
    """Platform and observer at once; each question is a connection, answered when the test pleases."""

    name = "remote"

    def __init__(self, path: str) -> None:
        self._path = path

    def inspect(self, target: Target) -> Allocation | None:
        answer = self._ask(question="inspect", container=target.container)
        return None if answer is None else Allocation(**answer)

    def set_limit(self, target: Target, resource: str, value: float | None) -> None:
        self._ask(question="set_limit", container=target.container, resource=resource, value=value)

    def hold(self, target: Target, resource: str, amount: float) -> None:
        pass

    def let_go(self, target: Target, resource: str) -> None:
        pass

    def holding(self) -> None:
        pass

    def withdraw(self, target: Target, resource: str) -> None:
        pass

    def remembered(self) -> list[OwnerLimits]:
        return []

    def forget(self, target: Target) -> None:
        pass

    def tell(self, target: Target, notice: Notice) -> None:
        pass

    def kernel_value(self, target: Target, resource: str) -> KernelValue:
        return KernelValue(**self._ask(question="kernel_value", container=target.container, resource=resource))

    def observe(self, order: Order, at: float) -> Observation:
        return Observation(at=at, **self._ask(question="observe", container=order.target.container))

    def _ask(self, **question: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._path)
            connection.sendall(json.dumps(question).encode() + b"\n")
            with connection.makefile() as answers:
                return json.loads(answers.readline())


def main(config_file: str, address: str, remote_path: str, web_file: str = "") -> None:
    config, remote = load_config(Path(config_file)), Remote(remote_path)
    web_path = Path(web_file) if web_file else None
    with listen(address) as listener:
        run(
            config,
            Outside(remote, Executor(remote), remote),
            listener,
            (web_path, load_web_config(web_path)),
            time.time,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
