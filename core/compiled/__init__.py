"""The compiled form of training: a plan of operations for a network, run by one driver written in C."""
