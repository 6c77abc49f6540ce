"""What outlives a process: jobs, events, metrics, datasets, checkpoints, models and their bytes.

The only package that speaks SQL. Every write is one short transaction; every move of a job is one guarded UPDATE.
"""
