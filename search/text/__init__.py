"""How numbers, names and durations are told, and how a terminal shows them."""
