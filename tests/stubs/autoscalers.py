"""Autoscalers of the Deployment ``scaled``, and the kind of the vertical ones, which no cluster knows by itself."""

from typing import Any

_SCALED = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}
_BY_CPU = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
HORIZONTAL: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "scaler"},
    "spec": {
        "scaleTargetRef": _SCALED,
        "minReplicas": 1,
        "maxReplicas": 1,
        "metrics": [{"type": "Resource", "resource": _BY_CPU}],
    },
}
VERTICAL: dict[str, Any] = {
    "apiVersion": "autoscaling.k8s.io/v1",
    "kind": "VerticalPodAutoscaler",
    "metadata": {"name": "scaler"},
    "spec": {"targetRef": _SCALED},
}
RECOMMENDS: dict[str, Any] = {**VERTICAL, "spec": {"targetRef": _SCALED, "updatePolicy": {"updateMode": "Off"}}}
"""A vertical autoscaler that changes nothing."""


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


_TEXT = {"type": "string"}
_SPEC = _object(
    targetRef=_object(apiVersion=_TEXT, kind=_TEXT, name=_TEXT),
    updatePolicy=_object(updateMode=_TEXT),
)
VERTICAL_KIND: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "verticalpodautoscalers.autoscaling.k8s.io",
        # The group is one of Kubernetes' own, for which the API server asks who approved of the kind.
        "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
    },
    "spec": {
        "group": "autoscaling.k8s.io",
        "scope": "Namespaced",
        "names": {
            "kind": "VerticalPodAutoscaler",
            "plural": "verticalpodautoscalers",
            "singular": "verticalpodautoscaler",
        },
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _object(spec=_SPEC)}}
        ],
    },
}
