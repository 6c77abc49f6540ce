"""The parent of all trainers has imported what they need, and nothing else: it starts soon, and they stay small."""

import subprocess
import sys


def test_trainers_know_no_database_and_no_broker() -> None:
    heavy = "{'sqlalchemy', 'psycopg', 'celery', 'redis', 'fastapi', 'structlog'}"
    script = f"import sys, worker.warm; assert 'numpy' in sys.modules; print({heavy} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout
        == "set()\n"
    )
