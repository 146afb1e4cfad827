"""`glimpse demo`: enrolls drawings on a server of its own, classifies others and draws a picture of the result."""
