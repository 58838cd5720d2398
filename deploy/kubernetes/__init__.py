"""Manifests for kustomize, made from the Helm chart."""
