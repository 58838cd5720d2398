"""Kubernetes: limits set in place through ``pods/resize``, verified in the pod's status."""
