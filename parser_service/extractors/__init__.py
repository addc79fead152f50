"""Extract facts from a document: one pure function per fact, in the module of its name.

A fact of the metadata is a member of `page.Metadata`, and `extractors/<fact>.py` has a function
of the same name that takes a `Document` and returns the member's value; `all.py` finds it by
that name. Modules that several facts share have names that are not facts.
"""
