"""Images and videos: reading, restoring and writing them, frame by frame."""
