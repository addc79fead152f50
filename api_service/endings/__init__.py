"""Every end of an attempt: its row, what else is written with it, and who is woken."""
