"""A server on this machine that answers what scikit-learn asks openml.org for, well or badly."""

import hashlib
import json
import threading
import warnings
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
import torch
from sklearn.datasets import _openml

from sofim_lab.problems.openml import SOURCES, load_openml

SMALL = {
    name: replace(source, train=(6,) * 10, val=20, test=(2,) * 10, sha256=None) for name, source in SOURCES.items()
}
MNIST = SMALL["mnist"]


class FakeOpenML:
    """One data set, `pixels` and `labels`, to be changed by a test; `failures` are statuses of the next answers."""

    def __init__(self, pixels, labels, data_id):
        self.pixels, self.labels, self.data_id = pixels, [str(label) for label in labels], data_id
        self.failures, self.asked = [], []
        self.silent = 0  # how many of the next requests it never answers
        self.cut = None  # how many bytes of the data are sent before the connection ends
        self.status = "active"
        self.md5 = None  # what the description says, where that is not the truth

    def arff(self):
        names = [f"@ATTRIBUTE pixel{i} INTEGER" for i in range(self.pixels.shape[1])]
        classes = ",".join(sorted(set(self.labels), key=lambda c: (len(c), c)))
        rows = [f"{','.join(map(str, row))},{y}" for row, y in zip(self.pixels.tolist(), self.labels, strict=True)]
        head = ["@RELATION fake", *names, f"@ATTRIBUTE class {{{classes}}}", "@DATA"]
        return ("\n".join([*head, *rows]) + "\n").encode()

    def description(self):
        return {
            "data_set_description": {
                "id": str(self.data_id),
                "name": "fake",
                "version": "1",
                "description": "made up",
                "format": "ARFF",
                "status": self.status,
                "file_id": str(self.data_id),
                "url": f"https://www.openml.org/data/v1/download/{self.data_id}/fake.arff",
                "md5_checksum": self.md5 or hashlib.md5(self.arff()).hexdigest(),
            }
        }

    def features(self):
        columns = [(f"pixel{i}", "numeric", "false") for i in range(self.pixels.shape[1])] + [
            ("class", "nominal", "true")
        ]
        known = {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
        return {
            "data_features": {
                "feature": [
                    {"index": str(i), "name": name, "data_type": kind, "is_target": target, **known}
                    for i, (name, kind, target) in enumerate(columns)
                ]
            }
        }

    def answer(self, path):
        if path.startswith("/data/v1/download/"):
            return self.arff()
        what = path.removeprefix("/api/v1/json/data/").partition("/")[0]
        if what == "features":
            return json.dumps(self.features()).encode()
        if what == "qualities":
            rows = {"name": "NumberOfInstances", "value": f"{len(self.labels)}.0"}
            return json.dumps({"data_qualities": {"quality": [rows]}}).encode()
        return json.dumps(self.description()).encode()

    @contextmanager
    def running(self, monkeypatch):
        """Every request of scikit-learn's to openml.org goes here instead, without pauses between two tries."""
        fake, over = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                fake.asked.append(self.path)
                if fake.silent > 0:
                    fake.silent -= 1
                    over.wait(20)
                    return
                if fake.failures and (status := fake.failures.pop(0)) != 200:
                    self.send_error(status)
                    return
                body = fake.answer(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: fake.cut] if self.path.startswith("/data/v1/download/") else body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        here = f"http://127.0.0.1:{server.server_port}"

        def redirected(request, *options):
            assert request.full_url.startswith("https://www.openml.org/")
            return urlopen(Request(request.full_url.replace("https://www.openml.org", here)), *options)

        monkeypatch.setattr(_openml, "urlopen", redirected)
        monkeypatch.setattr(_openml.time, "sleep", lambda seconds: None)
        try:
            yield self
        finally:
            over.set()
            server.shutdown()
            server.server_close()
            thread.join()


def smooth_images(n, shape, seed=0):
    """Pixels 0 … 255 that change little from one to the next, channel by channel, shape (n, d)."""
    random = np.random.default_rng(seed)
    channels, height, width = shape
    down, across = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)
    level, slope, tilt = (random.random((n, channels, 1, 1)) for _ in range(3))
    images = level + slope * down + tilt * across
    images = 255 * images / images.max(axis=(1, 2, 3), keepdims=True)
    return np.round(images).astype(int).reshape(n, -1)


def fake(source, n=80):
    return FakeOpenML(smooth_images(n, source.shape), np.arange(n) % 10, source.data_id)


def shifted(server):
    """Labels from 1 on."""
    server.labels = [str(int(label) + 1) for label in server.labels]


def no_network(monkeypatch):
    def unreachable(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(_openml, "urlopen", unreachable)
    monkeypatch.setattr(_openml.time, "sleep", lambda seconds: None)


def load(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a download that went well says nothing
        return load_openml(source, "cpu", torch.float64)
