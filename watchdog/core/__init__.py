"""Decisions, pure: no clock, no environment, no file, no socket, no log. `now` is an argument."""
