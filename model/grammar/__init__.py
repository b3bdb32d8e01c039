"""The embedded data: sentences and labels drawn from a small grammar."""
