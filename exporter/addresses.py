"""Where to listen, as Prometheus writes it."""


def listen_address(text: str) -> str:
    """Return ``HOST:PORT`` with 0.0.0.0 where the host is left out; raise ValueError for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:17900 or :17900")
    return f"{host or '0.0.0.0'}:{port}"  # noqa: S104 - an empty host asks for all addresses
