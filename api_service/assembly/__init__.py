"""Wire each kind of process: make the objects that its parts share."""
