"""The model cards, installed as ``avaffect.models.cards``."""
