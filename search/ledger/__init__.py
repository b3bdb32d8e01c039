"""Who is next, what was measured, who stops."""
