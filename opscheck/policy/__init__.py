"""Policy files: read with line and column of every value, layered, and validated as a whole."""
