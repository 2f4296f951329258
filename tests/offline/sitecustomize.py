"""Python imports this by itself: what a test starts, kernels for example, has no network either."""

import no_network

no_network.block()
