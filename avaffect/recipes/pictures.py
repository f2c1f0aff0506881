"""What the array of crops is called; apart from recipes, which take long to load."""

FACE_PICTURES = "faces"
"""The array of crops, uint8 [N, S, S, 3] RGB, which ``store.pictures`` reads."""
