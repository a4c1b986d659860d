"""How runs, settlements and disputes are written for people."""

from typing import Final

RUN_TONES: Final = {"created": "quiet", "running": "info", "completed": "good", "failed": "bad"}
SETTLEMENT_TONES: Final = {"locked": "warn", "released": "good", "refunded": "quiet"}
DISPUTE_TONES: Final = {"open": "bad", "closed": "quiet"}
EVENT_TONES: Final = {
    "RUN_CREATED": "info",
    "RUN_STARTED": "info",
    "RUN_HEARTBEAT": "quiet",
    "EVIDENCE_ADDED": "info",
    "RUN_COMPLETED": "good",
    "RUN_FAILED": "bad",
}
DECISIONS: Final = {
    "pending": "Not decided yet",
    "auto_resolved": "Decided by the policy",
    "manual_review_required": "Waits for a person",
    "manual_resolved": "Decided by a person",
}
