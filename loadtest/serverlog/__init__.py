"""Server logs read, followed, classified and judged; the names that the layers above use."""
