"""Let a run die at any of its steps, on real and fake servers, and count what was lost or doubled."""
