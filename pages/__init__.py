"""SHOWS: one script per step of the journey. Read, widgets, one studio call, show."""
