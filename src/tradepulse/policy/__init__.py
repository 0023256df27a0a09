"""How parameters are found, judged and watched: learning from history, never a signal of its own."""
