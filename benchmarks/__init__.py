"""Measurements that people run by hand: ``python -m benchmarks`` for speed, ``default_strategies.py`` for a study.

Nothing here is part of the product or of its tests. Every figure is printed beside what it was measured against.
"""
