"""Accounts: users, their passwords, sessions and keys, and the caller of each token."""
