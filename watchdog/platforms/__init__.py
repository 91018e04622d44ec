"""HTTP clients of prompt platforms, all behind the protocol in `protocol.py`."""
