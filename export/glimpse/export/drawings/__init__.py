"""Pictures drawn by code: characters of invented alphabets, and scenes with captions."""
