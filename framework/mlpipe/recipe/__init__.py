"""Recipes: the models, reading them, and every problem at once, located."""
