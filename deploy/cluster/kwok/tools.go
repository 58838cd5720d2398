//go:build tools

// Package kwok names what is built of KWOK, so that its modules are known by version and digest.
package kwok

import _ "sigs.k8s.io/kwok/cmd/kwok"
