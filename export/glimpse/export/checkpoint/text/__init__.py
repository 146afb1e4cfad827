"""Text encoders: tokenizers, hidden states, pooling, and the files of sentence-transformers."""
