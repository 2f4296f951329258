"""Executing lessons: one worker process each, watched, stopped and read."""
