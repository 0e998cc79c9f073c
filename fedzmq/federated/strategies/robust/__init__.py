"""Strategies that hold against workers who send what they like."""
