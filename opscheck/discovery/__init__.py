"""`opscheck init`: a first policy from what is found, and what a policy lacks."""
