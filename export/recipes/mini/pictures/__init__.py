"""The pictures that glimpse-mini learns from: scenes, symbols and patterns with captions; characters of scripts."""
