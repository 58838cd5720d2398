"""What deliveries do to orders."""

from typing import Any


def test_a_delivery_opens_one_order(world: Any, make_alert: Any) -> None:
    assert world.post(make_alert()) == 202
    action = world.action()
    assert (action["state"], action["intent"], action["resource"]) == ("open", "reserve", "cpu")
    assert action["alerts"][0]["name"] == "CppReserve"


def test_the_same_alert_twice_is_one_order_refreshed(world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    world.clock.pass_by(60)
    world.post(make_alert())
    action = world.action()
    assert action["refreshed_at"] - action["opened_at"] == 60
    assert action["alerts"][0]["deliveries"] == 2


def test_two_alerts_for_the_same_wish_share_one_open_order(world: Any, make_alert: Any) -> None:
    world.post(make_alert(), make_alert(startsAt="2026-01-01T01:00:00Z"))
    assert len(world.action()["alerts"]) == 2


def test_other_resources_and_containers_have_orders_of_their_own(world: Any, make_alert: Any) -> None:
    world.post(make_alert(), make_alert(labels={"resource": "memory"}), make_alert(container="db"))
    assert len(world.actions()) == 3


def test_a_resolved_alert_closes_its_order(world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    world.post(make_alert(status="resolved"))
    assert world.action()["state"] == "resolved"


def test_an_older_occurrence_that_resolves_late_leaves_the_order_open(world: Any, make_alert: Any) -> None:
    world.post(make_alert(), make_alert(startsAt="2026-01-01T01:00:00Z"))
    world.post(make_alert(status="resolved"))
    assert world.action()["state"] == "open"


def test_an_alert_that_fires_again_after_it_resolved_opens_a_new_order(world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    world.post(make_alert(status="resolved"))
    world.post(make_alert(startsAt="2026-01-01T02:00:00Z"))
    assert [action["state"] for action in world.actions()] == ["open", "resolved"]


def test_a_resolved_alert_that_was_never_seen_opens_nothing(world: Any, make_alert: Any) -> None:
    world.post(make_alert(status="resolved"))
    assert world.actions() == []


def test_an_order_expires_when_nobody_refreshes_it_for_twice_the_repeat_interval(world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    world.clock.pass_by(599)
    world.work()
    assert world.action()["state"] == "open"
    world.clock.pass_by(2)
    world.work()
    assert world.action()["state"] == "expired"


def test_an_expired_order_is_opened_anew_by_the_next_delivery(world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    world.clock.pass_by(601)
    world.work()
    world.post(make_alert())
    assert [action["state"] for action in world.actions()] == ["open", "expired"]


def test_an_order_refused_for_good_stays_refused_while_its_alert_goes_on(world: Any, make_alert: Any) -> None:
    world.kernel.opted_out = True
    world.post(make_alert())
    world.work()
    world.post(make_alert())
    assert world.action()["state"] == "refused"


def test_an_alert_without_intent_is_recorded_and_asks_for_nothing(world: Any, make_alert: Any) -> None:
    world.post(make_alert(intent=None))
    assert world.actions() == []
    assert 'cpp_alerts_total{verdict="ignored"} 1.0' in world.metrics()


def test_an_unknown_intent_is_a_recorded_refusal(world: Any, make_alert: Any) -> None:
    world.post(make_alert(intent="dance"))
    action = world.action()
    assert (action["state"], action["outcome"]) == ("refused", "refused: unknown_intent")
    assert "dance" in action["decisions"][0]["reason"]


def test_exported_labels_are_refused_since_the_identity_may_be_the_exporters_own(world: Any, make_alert: Any) -> None:
    world.post(make_alert(labels={"exported_container": "web"}))
    assert world.action()["outcome"] == "refused: exported_labels"


def test_an_alert_of_another_cluster_is_refused(world: Any, make_alert: Any) -> None:
    world.post(make_alert(labels={"cluster": "prod"}))
    assert world.action()["outcome"] == "refused: foreign_cluster"


def test_an_alert_that_names_no_container_is_refused(world: Any, make_alert: Any) -> None:
    world.post(make_alert(container="", labels={"container_id": ""}))
    assert world.action()["outcome"] == "refused: no_container"


def test_an_alert_without_the_containers_id_is_refused_and_asks_the_platform_nothing(
    world: Any, make_alert: Any
) -> None:
    world.post(make_alert(labels={"container_id": ""}))
    world.work()
    assert (world.action()["state"], world.action()["outcome"]) == ("refused", "refused: no_container_id")


def test_a_refused_alert_that_is_delivered_again_is_refused_once(world: Any, make_alert: Any) -> None:
    for _ in range(3):
        world.post(make_alert(intent="dance"))
    assert len(world.actions()) == 1
    assert 'cpp_refusals_total{reason="unknown_intent"} 1.0' in world.metrics()


def test_an_unknown_container_is_a_recorded_refusal(world: Any, make_alert: Any) -> None:
    world.post(make_alert(container="nobody"))
    world.work()
    assert (world.action()["state"], world.action()["outcome"]) == ("refused", "refused: gone")


def leak(make_alert: Any, **changes: Any) -> Any:
    labels = {"alertname": "CppMemoryLeak", "severity": "critical", "resource": "memory"}
    return make_alert(intent="activate", labels=labels, fingerprint="leak", **changes)


def pressed(make_alert: Any, **changes: Any) -> Any:
    return make_alert(intent="activate", labels={"resource": "memory"}, **changes)


def test_of_two_alerts_for_one_order_the_more_severe_speaks_whichever_came_last(world: Any, make_alert: Any) -> None:
    world.post(pressed(make_alert))
    assert world.action()["alert"] == "CppActivate"
    world.post(leak(make_alert))
    world.post(pressed(make_alert))
    assert (world.action()["alert"], world.action()["severity"]) == ("CppMemoryLeak", "critical")
    assert len(world.action()["alerts"]) == 2


def test_the_milder_alert_speaks_again_once_the_more_severe_is_over(world: Any, make_alert: Any) -> None:
    world.post(leak(make_alert), pressed(make_alert))
    world.post(leak(make_alert, status="resolved"))
    world.post(pressed(make_alert))
    assert (world.action()["alert"], world.action()["severity"]) == ("CppActivate", "info")


def test_an_alert_whose_end_was_lost_does_not_keep_anothers_order_open(world: Any, make_alert: Any) -> None:
    world.post(leak(make_alert), pressed(make_alert))
    for _ in range(3):
        world.clock.pass_by(250)
        world.post(pressed(make_alert))
        world.work()
    world.post(pressed(make_alert, status="resolved"))
    assert world.action()["state"] == "resolved"


def test_an_alert_that_still_fires_keeps_the_order_open_when_another_ends(world: Any, make_alert: Any) -> None:
    world.post(leak(make_alert), pressed(make_alert))
    for _ in range(3):
        world.clock.pass_by(250)
        world.post(leak(make_alert), pressed(make_alert))
        world.work()
    world.post(pressed(make_alert, status="resolved"))
    assert world.action()["state"] == "open"
