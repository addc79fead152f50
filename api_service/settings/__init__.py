"""What a setting may be, and the sentence that explains a wrong one.

The other service has the same modules, but for `hosts`.
"""
