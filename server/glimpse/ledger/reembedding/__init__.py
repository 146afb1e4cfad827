"""Re-embedding: giving a collection another backbone, with a switch and a way back."""
