"""What a sender needs that has hundreds of executions in flight, as ``webhooks`` does. Provisional: it may change.

Such an app takes a queue over with ``register_drain``, claims executions by the lane, and finishes them in batches.
"""

from __future__ import annotations

from rules_engine.actions.replay_executions import Selection as Selection
from rules_engine.databases.uncached import UncachedQuerySet as UncachedQuerySet
from rules_engine.models.tallies.counting import count_after_commit as count_after_commit
from rules_engine.monitoring.metric import Metric as Metric
from rules_engine.monitoring.metric import Sample as Sample
from rules_engine.monitoring.metric import register_metrics as register_metrics
from rules_engine.outbox.direct import order as order
from rules_engine.rules.permissions import may_view_data as may_view_data
from rules_engine.rules.permissions import may_view_event as may_view_event
from rules_engine.troubles.signals import register_trouble as register_trouble
from rules_engine.troubles.telling import is_heard as is_heard
from rules_engine.troubles.telling import tell as tell
from rules_engine.work.attempts import AttemptOutcome as AttemptOutcome
from rules_engine.work.attempts import finish as finish
from rules_engine.work.attempts import record as record
from rules_engine.work.attempts import start as start
from rules_engine.work.claims import Claim as Claim
from rules_engine.work.claims import LeaseKeeper as LeaseKeeper
from rules_engine.work.claims import cancel as cancel
from rules_engine.work.claims import claim as claim
from rules_engine.work.claims import claim_crashed as claim_crashed
from rules_engine.work.claims import claim_lanes as claim_lanes
from rules_engine.work.claims import give_back as give_back
from rules_engine.work.claims import renew as renew
from rules_engine.work.lanes import LaneBacklog as LaneBacklog
from rules_engine.work.lanes import LaneFigures as LaneFigures
from rules_engine.work.lanes import LaneTitle as LaneTitle
from rules_engine.work.lanes import due_lanes as due_lanes
from rules_engine.work.lanes import in_flight as in_flight
from rules_engine.work.lanes import lane_backlog as lane_backlog
from rules_engine.work.lanes import lane_counts as lane_counts
from rules_engine.work.lanes import lane_failures as lane_failures
from rules_engine.work.lanes import lane_figures as lane_figures
from rules_engine.work.lanes import lane_latest as lane_latest
from rules_engine.work.lanes import lane_troubles as lane_troubles
from rules_engine.work.lanes import late_lanes as late_lanes
from rules_engine.work.lanes import register_lane_titles as register_lane_titles
from rules_engine.work.overview import Cell as Cell
from rules_engine.work.overview import Need as Need
from rules_engine.work.overview import OverviewTable as OverviewTable
from rules_engine.work.overview import register_needs as register_needs
from rules_engine.work.overview import register_overview as register_overview
from rules_engine.work.queues import register_drain as register_drain
from rules_engine.work.repeating import against_rivals as against_rivals
from rules_engine.work.replays import latest_replays as latest_replays
from rules_engine.work.replays import replay as replay
from rules_engine.work.run import may_run as may_run
