"""What a market window looks like, and what followed on those that looked alike. It never makes a signal."""
