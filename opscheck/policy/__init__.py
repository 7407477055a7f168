"""What is expected: policy files, read with the place of every word, layered, and checked as a whole."""
