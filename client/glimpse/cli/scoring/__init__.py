"""`glimpse test`: measures the accuracy of a collection on labelled data."""
