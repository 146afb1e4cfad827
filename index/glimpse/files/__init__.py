"""Files that a killed process must not leave behind. Standard library only."""
