"""Identifiers: a prefix that names the kind, 48 bits of milliseconds, 80 random bits; they sort by age."""

import secrets

from store import clock

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: no i, l, o, u to misread
PREFIXES = {"dataset": "ds_", "job": "job_", "checkpoint": "ckpt_", "model": "mdl_", "weights": "wts_"}


def new_id(kind: str) -> str:
    """A new identifier of a kind, such as `job_01kb...` with 26 letters behind the prefix."""
    number = int(clock.now().timestamp() * 1000) << 80 | secrets.randbits(80)
    letters = [ALPHABET[number >> shift & 31] for shift in range(125, -1, -5)]
    return PREFIXES[kind] + "".join(letters)
