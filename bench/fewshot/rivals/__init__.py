"""Methods of others beside the engine's: cleanlab, ProKeR with its prior, full conformal prediction."""
