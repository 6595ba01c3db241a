"""The scripts, numbered in their order."""
