"""Validates FAISS files before FAISS reads them, and writes FAISS files safely."""
