"""The command ``convert``: tables of predictions in the forms of other programs."""
