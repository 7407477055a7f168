"""Recovery objectives: restore drills and the record of the last one."""
