"""The rooms of a turn: each has one part of the way that `convostore/turn.py` shows whole."""
