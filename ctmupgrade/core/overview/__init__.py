"""How far a run is, at a moment: what the board, ``status`` and the live page show, as one value."""
