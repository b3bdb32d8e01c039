"""Where trials run: cluster files, launching, job submission. Imports none of the other folders."""
