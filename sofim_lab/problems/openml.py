"""Data sets from openml.org: downloaded once, checked, kept in one small file each."""

import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch

from sofim_lab.problems.arguments import floating_type
from sofim_lab.problems.dataset import Dataset, Split
from sofim_lab.problems.device import resolve_device
from sofim_lab.problems.image_checks import channels_first, check_classes, check_images, class_numbers
from sofim_lab.problems.packed import digest, read_packed, write_packed

FOLDER = "SOFIM_LAB_DATA"
_SPLIT_SEED = 0
_PATIENCE = 15.0  # seconds without a byte, after which a request counts as failed; scikit-learn would wait for ever
# All columns are numbers, perhaps in quotes: exact in float32, half the memory of int64, and labels that look like
# numbers are not made a category of integers, at which scikit-learn 1.9 fails with pandas 3.
_PLAIN_NUMBERS = {"dtype": np.float32, "quotechar": "'"}


@dataclass(frozen=True)
class Source:
    """A data set of images on openml.org, and what must be found there.

    Attributes:
        name: Its name here.
        data_id: Its number there; unlike names, a number means one version for ever.
        shape: Channels, height and width of an image; a row holds their product, each 0 to 255.
        train: How many samples of each class come first, for training, those of `val` included.
        val: How many of these are held out, the classes in proportion.
        test: How many of each class follow.
        ten_is_zero: Whether the label 10 stands for the class 0.
        sha256: Of the pixels and labels as `digest` takes it; None as long as nobody has pinned it.
    """

    name: str
    data_id: int
    shape: tuple[int, int, int]
    train: tuple[int, ...]
    val: int
    test: tuple[int, ...]
    ten_is_zero: bool = False
    sha256: str | None = None


# To pin the digests, or to pin them anew: `python -m sofim_lab.problems.digests` prints them.
SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "mnist",
            554,
            (1, 28, 28),
            train=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
            val=10_000,
            test=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        ),
        Source("fashion-mnist", 40996, (1, 28, 28), train=(6000,) * 10, val=10_000, test=(1000,) * 10),
        Source(
            "svhn",
            41081,
            (3, 32, 32),
            train=(4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
            val=7_257,
            test=(1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
            ten_is_zero=True,
        ),
        Source("cifar10", 40927, (3, 32, 32), train=(5000,) * 10, val=5_000, test=(1000,) * 10),
    )
}


def load_openml(source: Source, device: str | torch.device = "auto", dtype: torch.dtype = torch.float32) -> Dataset:
    """A data set of openml.org, pixels in [0, 1], in a fixed split; downloaded at the first use.

    The last samples are the test set, as their authors ordered them, and validation samples are taken from the others,
    the same on every machine, the classes in proportion. SVHN's label 10, the digit zero, becomes 0.

    **Cache.** The folder is that of the environment variable SOFIM_LAB_DATA, else scikit-learn's, `~/scikit_learn_data`
    or SCIKIT_LEARN_DATA. `openml/` holds what was downloaded, `sofim_lab/<name>.npz` the checked pixels and labels as
    bytes, with their digest: it alone is enough on a machine without network. The digest is compared at every load, and
    with that of the source, where one is pinned.

    Args:
        source: What to load, e.g. `SOURCES["mnist"]`.
        device: See `resolve_device`.
        dtype: Floating type of the pixels.

    Returns:
        The data set and its digest; a row runs channel by channel.

    Raises:
        ConnectionError: It is not in the cache and cannot be downloaded; the message says where it was looked for.
        ValueError: What was found there is damaged or not what it should be; the device does not exist here, or dtype
            is no floating type.
        OSError: The cache cannot be written.
    """
    floating_type(dtype)
    place = resolve_device(device)
    from sklearn.model_selection import train_test_split  # costs a second

    x, y, sha256 = _images(source)
    first = sum(source.train)
    _warn_of_another_order(source, y[first:])
    fit, val = train_test_split(np.arange(first), test_size=source.val, stratify=y[:first], random_state=_SPLIT_SEED)

    def split(rows: np.ndarray) -> Split:
        pixels = torch.from_numpy(x[rows]).to(place).to(dtype).div_(255)
        return Split(pixels, torch.from_numpy(y[rows].astype(np.int64)).to(place))

    parts = split(fit), split(val), split(np.arange(first, len(y)))
    return Dataset(source.name, *parts, classes=len(source.train), shape=source.shape, sha256=sha256)


def data_home() -> Path:
    """The folder that downloads are kept in; it is made where it does not exist."""
    from sklearn.datasets import get_data_home

    try:
        return Path(get_data_home(os.environ.get(FOLDER) or None))
    except OSError as error:
        raise _unwritable(error) from error


def _images(source: Source) -> tuple[np.ndarray, np.ndarray, str]:
    """Pixels (n, d) and labels (n,) as bytes, checked, and their digest, from the packed file or from openml.org."""
    home = data_home()
    packed = home / "sofim_lab" / f"{source.name}.npz"
    if packed.exists():
        x, y, sha256 = read_packed(packed)
        where = f"{packed} (delete it: the next call makes it anew)"
        _check(source, x, y, where)
        _check_pin(source, sha256, where)
        return x, y, sha256
    x, y = _download(source, home)
    where = f"openml.org's data set {source.data_id} in {home / 'openml'} (delete that folder to download it again)"
    y = class_numbers(y, ten_is_zero=source.ten_is_zero, where=where)
    _check(source, x, y, where)
    x, y = channels_first(x.astype(np.uint8), source.shape), y.astype(np.uint8)
    _check_pin(source, digest(x, y), where)
    try:
        return x, y, write_packed(packed, x, y)
    except OSError as error:
        raise _unwritable(error) from error


def _check(source: Source, x: np.ndarray, y: np.ndarray, where: str) -> None:
    """Raise where pixels or labels are not what the source says."""
    count = sum(source.train) + sum(source.test)
    check_images(x, y, count=count, shape=source.shape, classes=len(source.train), where=where)
    check_classes(y, np.add(source.train, source.test), where)


def _warn_of_another_order(source: Source, last: np.ndarray) -> None:
    """Warn unless each class is as frequent among the last samples as in the published test set."""
    found = tuple(np.bincount(last, minlength=len(source.test)).tolist())
    if found != source.test:
        warnings.warn(
            f"{source.name}: the last {len(last):,} samples have {', '.join(map(str, found))} of the classes where the "
            f"published test set has {', '.join(map(str, source.test))}. They are all here, but in another order: do "
            "not compare test accuracies with published ones",
            stacklevel=4,
        )


def _check_pin(source: Source, found: str, where: str) -> None:
    """Raise where a digest is pinned, and this is another one."""
    if source.sha256 not in (None, found):
        raise ValueError(
            f"{source.name} has the sha256 {found} where {source.sha256} is pinned, so it is not the data that others "
            f"have used: {where}"
        )


def _download(source: Source, home: Path) -> tuple[np.ndarray, np.ndarray]:
    """What scikit-learn finds in its cache or on openml.org, tried several times; failures say what to do."""
    from sklearn.datasets import fetch_openml

    print(f"{source.name}: fetching data set {source.data_id} of openml.org, once, for {home}", file=sys.stderr)
    there = {str(path) for path in (home / "openml").rglob("*")}
    with warnings.catch_warnings(record=True) as said, _impatience():
        warnings.simplefilter("always")
        try:
            found = fetch_openml(
                data_id=source.data_id,
                as_frame=False,
                parser="pandas",
                data_home=home,
                n_retries=3,
                read_csv_kwargs=_PLAIN_NUMBERS,
            )
        except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
            raise ConnectionError(_unreachable(source, home, error, _damage(said, there))) from error
        except Exception as error:  # whatever a parser makes of a page that is no data set
            if isinstance(error, OSError) and error.errno is not None:  # a broken gzip file has no number
                raise _unwritable(error) from error
            raise ValueError(
                f"{source.name}: what openml.org sent for data set {source.data_id} is of no use "
                f"({type(error).__name__}: {error}): delete {home / 'openml'} and try again later"
            ) from error
    for one in said:
        invented = "Invalid cache" in str(one.message) and not _damage([one], there)
        if not invented and not str(one.message).endswith("Retrying..."):  # in the end it went well
            warnings.warn(f"{source.name}: {one.message}", one.category, stacklevel=4)
    return np.asarray(found.data), np.asarray(found.target)


@contextmanager
def _impatience() -> Iterator[None]:
    """A time after which a silent server is given up, unless someone has set one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE if before is None else before)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _unwritable(error: OSError) -> OSError:
    """What to do about a folder that is none, belongs to somebody else or is full."""
    return OSError(
        error.errno,
        f"the cache of downloads cannot be written ({error.strerror}: {error.filename}): give it room and the right to "
        f"be written, or set {FOLDER} to another folder",
    )


def _damage(said: list[warnings.WarningMessage], there: set[str]) -> str:
    """What scikit-learn said about files that it could not read and has removed; it says so of a late answer, too."""
    named = [str(one.message).rpartition(" to ")[2] for one in said if "Invalid cache" in str(one.message)]
    damaged = [path for path in named if path in there]
    return f"the cached file {damaged[-1]} was damaged and has been removed; " if damaged else ""


def _unreachable(source: Source, home: Path, error: Exception, damage: str) -> str:
    """What to do without a network."""
    return (
        f"{source.name} is not in the cache and cannot be downloaded: {damage}openml.org does not answer ({error}). "
        f"The cache is {home}; set {FOLDER} to another folder. Without network, copy sofim_lab/{source.name}.npz into "
        f"it from a machine where load_dataset({source.name!r}) has worked, or take a data set that needs no download, "
        "such as 'digits'"
    )
