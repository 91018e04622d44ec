"""How often the engine reverts what is harmless, and how many calls it needs to see what is not."""
