"""What an optimizer raises where numbers have run away."""


class NotFiniteError(FloatingPointError, ValueError):
    """A loss, a gradient or a curvature at the present parameters is not finite; no parameter has been changed."""
