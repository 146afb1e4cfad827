"""Domain adaptation in closed form, and its selection by leave-one-domain-out."""
