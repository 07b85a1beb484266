"""Images by the layers that they share: a forest of chains, for a terminal and as JSON."""
