"""Keep jobs, leases, results and the limits of hosts in Redis."""
