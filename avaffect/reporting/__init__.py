"""The command ``report``: a page that shows predictions beside their video, and a summary."""
