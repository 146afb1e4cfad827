"""Enrolment of examples: checks, embedding, comparison with existing examples, commit and response."""
