"""cpp-probe: counts in the kernel what containers do, and serves it as plain counters. No analysis."""
