"""The colours of curves: an optimizer has one of its own, wherever it is drawn."""

# Okabe and Ito (2008): of the usual palettes the one whose first six colours stay furthest apart for every
# common kind of colour vision. The yellow is left out, it vanishes on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
