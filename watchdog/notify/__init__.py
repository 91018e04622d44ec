"""Telling people: Slack, a webhook, a terminal. What to tell is decided in `watchdog.core`."""
