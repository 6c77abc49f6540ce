"""The whole system on one machine as one process tree, and the commands that start its parts."""
