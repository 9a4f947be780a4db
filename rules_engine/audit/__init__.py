"""The chain that seals the audit trail: made by workers outside of any save, verified by ``rules_audit_verify``."""
