"""
A prompt registry and gateway that speaks PromptHelm's wire, for a machine that has no account there.

The daemon reaches it over HTTP like any other platform and never imports its tables.
"""

from __future__ import annotations
