"""Mathematics on mergeable summaries, pure. Imports numpy and scipy only."""
