"""Python imports this by itself: what a test starts, kernels for example, has no network either."""

import sys

import no_network

no_network.block()

# jsonschema's IRI grammar: 1.2 s to import, and no notebook needs it; None says that it cannot be imported.
sys.modules["rfc3987_syntax"] = None
