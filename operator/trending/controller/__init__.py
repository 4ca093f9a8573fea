"""The controller: watches schedules and Jobs, starts runs, writes status. It never speaks to PostgreSQL."""
