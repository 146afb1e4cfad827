"""`glimpse export`: makes backbone bundles from models."""
