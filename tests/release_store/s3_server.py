"""A server that speaks the S3 protocol, and the environment that leads the library to it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "releases"


@contextmanager
def s3_server() -> Iterator[str]:
    """Gives the endpoint; the bucket BUCKET is there, and the environment of this process names both."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it would log every request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    access = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    try:
        with patch.dict(os.environ, {**access, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint}):
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            yield endpoint
    finally:
        server.stop()
