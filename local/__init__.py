"""Run the whole system on one machine without containers: servers, migrations, services."""
