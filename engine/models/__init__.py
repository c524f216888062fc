"""Base models: the catalogue, what a folder holds, and loading."""
