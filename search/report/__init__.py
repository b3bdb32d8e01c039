"""What people read: the page, its tables as CSV, the terminal's tables."""
