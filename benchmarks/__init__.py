"""Measure the whole system: one module for each table of docs/performance.md."""
