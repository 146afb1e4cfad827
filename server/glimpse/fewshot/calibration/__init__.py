"""Calibration from leave-one-out scores: temperature, prediction sets, measures of fit, independent labels."""
