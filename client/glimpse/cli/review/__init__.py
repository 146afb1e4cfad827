"""`glimpse review`: looks at kept queries, resolves them, and deletes them."""
