"""The gRPC services: each call reads its request, has one object do the work, and writes the response."""
