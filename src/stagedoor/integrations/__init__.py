"""Stagedoor in frameworks: one module each, imported by the application that uses the framework."""
