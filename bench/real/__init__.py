"""How often the engine reverts recorded calls of which nothing changed, and how soon it sees what did."""
