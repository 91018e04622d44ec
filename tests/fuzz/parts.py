"""What can be fuzzed, by name."""

from __future__ import annotations

from tests.fuzz.callfiles import callfiles
from tests.fuzz.configs import configs
from tests.fuzz.messenger import messenger
from tests.fuzz.payloads import payloads

PARTS = {"callfiles": callfiles, "configs": configs, "messenger": messenger, "payloads": payloads}
