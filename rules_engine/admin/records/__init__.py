"""What happened: events, executions, held matches, recordings and the audit trail."""
