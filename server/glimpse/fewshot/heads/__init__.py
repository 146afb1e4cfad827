"""The heads: functions from a vector to label scores, fitted in closed form."""
