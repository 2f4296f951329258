"""One step of SOFIM: from parameter groups to blocks, accurate sums, the forms of the step."""
