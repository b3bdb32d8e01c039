"""How long a study will take, and how dear that is."""
