"""Which configuration is proposed next."""
