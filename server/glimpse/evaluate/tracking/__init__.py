"""Keeps the runs of evaluations in a folder, and compares them on the draws that they share."""
