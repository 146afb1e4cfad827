"""`glimpse evaluate`: measures how well a backbone suits labelled data."""
