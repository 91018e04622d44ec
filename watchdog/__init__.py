"""The prompt watchdog. Nothing but this docstring may stand here: another distribution imports as `watchdog` too."""
