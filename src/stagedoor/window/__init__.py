"""The window: its times and its token, its clock, and its texts."""
