"""A package in a sub-folder."""
