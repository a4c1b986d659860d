"""The tables of the money rails; every row belongs to one tenant."""

from moneyrails.models.approval import Approval
from moneyrails.models.attempt import DispatchAttempt
from moneyrails.models.chargeback import ChargebackEntry, PartyBalance
from moneyrails.models.check import DispatchCheck
from moneyrails.models.connect import ConnectAccount
from moneyrails.models.controls import MoneyRailControls
from moneyrails.models.event import ProviderEvent
from moneyrails.models.exposure import ExposureCounter
from moneyrails.models.movement import Movement
from moneyrails.models.operation import Operation
from moneyrails.models.outcome import PayoutOutcome

__all__ = [
    "Approval",
    "ChargebackEntry",
    "ConnectAccount",
    "DispatchAttempt",
    "DispatchCheck",
    "ExposureCounter",
    "MoneyRailControls",
    "Movement",
    "Operation",
    "PartyBalance",
    "PayoutOutcome",
    "ProviderEvent",
]
