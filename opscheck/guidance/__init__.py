"""What to do about a finding: the commands to type, by when somebody must answer, and who is called."""
