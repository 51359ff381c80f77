"""Video files in and out: frames with their times, within limits, if wanted decoded in a process apart."""
