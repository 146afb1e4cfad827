"""HTTP/JSON beside gRPC: the Connect protocol for unary calls, OpenAI-shaped embeddings, and probes."""
