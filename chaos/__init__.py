"""Break everything while jobs run, and prove that none was lost, doubled or silently different."""
