"""Runs riverrun against clients that this project did not write."""
