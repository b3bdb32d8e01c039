"""The process that holds the study: Ray Tune, its callbacks, the live view."""
