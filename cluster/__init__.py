"""Where trials run. There is nothing here yet: a search starts Ray on this machine, or joins a
cluster that runs already."""
