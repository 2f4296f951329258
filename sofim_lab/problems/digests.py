"""Digests of the data sets of openml.org, to be pinned in their sources: `python -m sofim_lab.problems.digests`."""

import sys

import torch

from sofim_lab.problems.openml import SOURCES, load_openml


def main() -> int:
    """Print name, digest and what is known of it, a line for each data set; what is not in the cache is downloaded.

    Returns:
        0 if all could be loaded; 1 if one could not, or is not the one that is pinned: why not goes to stderr.
    """
    failed = False
    for name, source in SOURCES.items():
        try:
            found = load_openml(source, "cpu", torch.float16).sha256
        except (ConnectionError, ValueError) as error:
            failed = True
            print(error, file=sys.stderr)
        else:
            print(f"{name:<13}  {found}  {'as pinned' if source.sha256 else 'not pinned yet'}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
