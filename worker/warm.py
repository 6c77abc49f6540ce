"""What the parent of all trainers imports before the first of them, whenever it is started: whatever they need.

A signal that reaches the whole tree, as a service manager sends it, is left to the worker: the parent ignores SIGTERM.
"""

import signal

from core.fingerprint import machine
from worker import trainer

__all__ = ["trainer"]

signal.signal(signal.SIGTERM, signal.SIG_IGN)
machine()  # once here, not once in each trainer
