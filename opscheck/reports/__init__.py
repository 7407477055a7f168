"""One writer per format, all fed with the same run record."""
