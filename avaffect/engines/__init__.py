"""Many inputs at once: one planner, and engines that carry out what it plans."""
