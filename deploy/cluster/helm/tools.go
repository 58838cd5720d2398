//go:build tools

// Package helm names what is built of Helm, so that its modules are known by version and digest.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
