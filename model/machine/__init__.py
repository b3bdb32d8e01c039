"""Where a training computes: devices, CPUs, and the processes that a launcher starts."""
