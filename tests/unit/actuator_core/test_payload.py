"""Alertmanager bodies as they occur, and bodies that are none."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuator.payload import PayloadError, parse_delivery
from actuator.reading import read_alert

LABELS = {"alertname": "HostLoad", "instance": "host-1:9100"}


def parse(document: Any) -> Any:
    return parse_delivery(json.dumps(document).encode())


def test_an_alert_without_fingerprint_gets_one_from_its_labels() -> None:
    one, same, other = (parse({"alerts": [{"labels": labels}]}) for labels in (LABELS, dict(LABELS), {"a": "b"}))
    assert one.alerts[0].fingerprint == same.alerts[0].fingerprint != other.alerts[0].fingerprint


def test_an_alert_without_status_has_that_of_its_group() -> None:
    assert not parse({"status": "resolved", "alerts": [{"labels": LABELS}]}).alerts[0].firing
    assert parse({"status": "firing", "alerts": [{"labels": LABELS}]}).alerts[0].firing


def test_the_alerts_own_status_comes_before_the_groups() -> None:
    body = {"status": "firing", "alerts": [{"labels": LABELS, "status": "resolved"}]}
    assert not parse(body).alerts[0].firing


def test_a_body_without_version_group_key_and_common_annotations_is_taken() -> None:
    assert len(parse({"receiver": "r", "alerts": [{"labels": LABELS, "annotations": {}}]}).alerts) == 1


def test_an_alert_without_alertname_or_annotations_is_taken() -> None:
    (alert,) = parse({"alerts": [{"labels": {"alert_name": "x"}, "annotations": None}]}).alerts
    assert (alert.name, dict(alert.annotations)) == ("", {})


def test_unknown_fields_line_breaks_and_other_scripts_are_taken() -> None:
    labels = LABELS | {"alertname": "主机CPU使用率", "note": "one\ntwo"}
    body = {"version": "4", "notification_reason": "new", "alerts": [{"labels": labels, "extra": [1]}]}
    assert parse(body).alerts[0].name == "主机CPU使用率"


def test_label_values_that_are_no_text_become_text() -> None:
    (alert,) = parse({"alerts": [{"labels": {"alertname": "x", "n": 3, "b": True, "z": None}}]}).alerts
    assert dict(alert.labels) == {"alertname": "x", "n": "3", "b": "true", "z": ""}


def test_half_a_surrogate_pair_becomes_text_that_can_be_stored() -> None:
    delivery = parse_delivery(b'{"alerts": [{"labels": {"alertname": "\\ud83d"}}]}')
    assert delivery.alerts[0].name.encode() == b"?"


def test_alerts_of_several_names_in_one_group_are_all_taken() -> None:
    assert len(parse({"alerts": [{"labels": LABELS}, {"labels": {"alertname": "Slow"}}]}).alerts) == 2


@pytest.mark.parametrize(("given", "kept"), [(3, 3), (None, 0), ("3", 0), (-1, 0), (True, 0), (10**30, 1_000_000)])
def test_the_number_of_truncated_alerts_is_kept_within_reason(given: Any, kept: Any) -> None:
    assert parse({"alerts": [], "truncatedAlerts": given}).truncated == kept


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[1]", "not an object"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"version": "5", "alerts": []}', "version"),
        (b"{}", "alerts: is no list"),
        (b'{"alerts": [7]}', r"alerts\[0\]: is no object"),
        (b'{"alerts": [{}]}', r"alerts\[0\].labels: is missing"),
        (b'{"alerts": [{"labels": []}]}', r"alerts\[0\].labels: is no object"),
        (b'{"alerts": [{"labels": {}, "annotations": "x"}]}', r"alerts\[0\].annotations: is no object"),
    ],
)
def test_a_wrong_body_is_refused_with_the_place_and_the_reason(body: Any, reason: Any) -> None:
    with pytest.raises(PayloadError, match=reason):
        parse_delivery(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
fields = st.sampled_from(["labels", "annotations", "status", "fingerprint", "startsAt"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(fields, json_values), max_size=3), json_values)
def test_any_json_is_read_or_refused_in_words(alerts: Any, truncated: Any) -> None:
    try:
        delivery = parse({"alerts": alerts, "truncatedAlerts": truncated})
    except PayloadError:
        return
    for alert in delivery.alerts:
        read_alert(alert, "lab")
