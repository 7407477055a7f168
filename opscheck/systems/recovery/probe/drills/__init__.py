"""What the two processes of a drill have in common: what they tell each other, and what either removes."""
