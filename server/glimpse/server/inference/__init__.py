"""Turns inputs into vectors: backbones, decoding, embedding spaces and prompts."""
