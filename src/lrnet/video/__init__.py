"""Video files in and out: frames with their times, within limits, decoded in a process of its own if asked."""
