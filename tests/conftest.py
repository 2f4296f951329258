"""For all tests: one thread each for the numerical libraries, before PyTorch is imported.

The tests' tensors are small, and two threads that wait for each other on a busy machine take five times as long.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
