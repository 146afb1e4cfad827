"""Classification: neighbours, decisions, evidence, and the report of a collection."""
