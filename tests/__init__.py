"""Tests of the framework and its plugins.

A package by name, because some distributions install a top-level package ``tests`` of their own.
"""
