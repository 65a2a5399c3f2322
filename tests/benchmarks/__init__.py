"""Measurements and long trials: run by hand, from the folder of the tests."""
