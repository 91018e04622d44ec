"""One use case a file, each `run(deps, now)`. Decisions are made in `watchdog.core`; here they are carried out."""
