"""Cannot start."""

from __future__ import annotations

raise ImportError("torch was built without what it takes")
