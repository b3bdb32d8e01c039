"""The Ray cluster under a search: started or joined, its token, its folder, its processes."""
