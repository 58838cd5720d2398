"""What a connection is likely to speak, by its destination port."""

OTHER = "other"

PORTS = {
    53: "dns",
    80: "http",
    443: "https",
    1433: "sqlserver",
    1521: "oracle",
    2379: "etcd",
    3306: "mysql",
    5432: "postgresql",
    5671: "amqp",
    5672: "amqp",
    6379: "redis",
    8080: "http",
    8443: "https",
    9042: "cassandra",
    9092: "kafka",
    9200: "elasticsearch",
    11211: "memcached",
    27017: "mongodb",
}
"""The registered ports of databases, brokers and the web. The kernel counts these apart, the rest as port 0."""


def protocol_of(port: int) -> str:
    """Return the protocol's name, ``other`` for a port that says nothing."""
    return PORTS.get(port, OTHER)
