"""Measurements of this project on this machine."""
