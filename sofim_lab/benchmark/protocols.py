"""All protocols, by the name that `sofim-lab bench --profile` takes."""

from sofim_lab.benchmark.digits import DIGITS, DIGITS_QUICK, TINY
from sofim_lab.benchmark.mnist import MNIST

PROTOCOLS = {one.name: one for one in (DIGITS_QUICK, DIGITS, MNIST, TINY)}
