"""The workspace "Reconciliation": what ties out, report by report, and the scheduler that looks."""
