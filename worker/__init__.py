"""The fleet: Celery workers that claim jobs, train each in a process of its own, and report to the store."""
