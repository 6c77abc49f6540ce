"""The peers of `make bench-serving`: one server a file, all of the same network, each started by its module's name."""
