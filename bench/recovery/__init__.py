"""How often the verification of a revert ends rightly, and how soon."""
