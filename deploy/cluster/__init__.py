"""A real Kubernetes on one machine, for tests: a control plane and kubelets with containers of their own."""
