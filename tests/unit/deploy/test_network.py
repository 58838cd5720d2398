from deploy.cluster.network import removal

RULES = """-P INPUT ACCEPT
-N DOCKER
-N KUBE-FIREWALL
-N KUBE-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -o docker0 -j DOCKER
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-FIREWALL -d 127.0.0.0/8 -j DROP
"""


def test_only_chains_of_kubernetes_and_the_ways_to_them_are_removed() -> None:
    assert removal("filter", RULES).splitlines() == [
        "*filter",
        "-D INPUT -j KUBE-FIREWALL",
        '-D OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-F KUBE-FIREWALL",
        "-F KUBE-SERVICES",
        "-X KUBE-FIREWALL",
        "-X KUBE-SERVICES",
        "COMMIT",
    ]


def test_rules_of_others_are_left_alone() -> None:
    assert removal("nat", "-N DOCKER\n-A PREROUTING -j DOCKER\n") == "*nat\nCOMMIT\n"
