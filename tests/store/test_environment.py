"""A wrong variable is named in a sentence, and the process ends."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("command", "variable", "value", "words"),
    [
        ("work", "NUDGE_LEASE_S", "soon", "NUDGE_LEASE_S: This must be a number.\n"),
        ("work", "NUDGE_LOG_LEVEL", "loud", 'NUDGE_LOG_LEVEL: This must be "critical", "error", "warning", "info"'),
        ("serve", "NUDGE_PORT", "abc", "NUDGE_PORT: This must be a whole number.\n"),
        ("serve", "NUDGE_PORT", "65536", "NUDGE_PORT: This must be at most 65535.\n"),
        ("serve", "NUDGE_INSECURE", "maybe", "NUDGE_INSECURE: This must be true or false.\n"),
        ("serve", "NUDGE_MAX_UPLOAD_BYTES", "1", "NUDGE_MAX_UPLOAD_BYTES: This must be at least 1024.\n"),
        ("migrate", "DATABASE_URL", "postgres://a@b/c", "DATABASE_URL: Write postgresql+psycopg://"),
        ("work", "BROKER_URL", "amqp://x", "BROKER_URL: Write redis://"),
        ("serve", "BLOBS_URL", "s3://bucket/nudge", "BLOBS_URL: s3:// cannot be used here: Install s3fs"),
        ("up", "BROKER_URL", "amqp://x", "BROKER_URL: Write redis://"),
        ("up", "NUDGE_CONCURRENCY", "0", "NUDGE_CONCURRENCY: This must be at least 1.\n"),
    ],
)
def test_a_wrong_variable_is_named(command: str, variable: str, value: str, words: str) -> None:
    environment = os.environ | {variable: value}
    arguments = [sys.executable, "-m", "standalone", command]
    ended = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error in the environment: {words}")
    assert "Traceback" not in ended.stderr
