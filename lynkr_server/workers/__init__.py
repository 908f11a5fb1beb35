"""Several processes that serve one port as one gateway: a parent that watches, and workers that serve."""

from lynkr_server.workers.folder import run_folder
from lynkr_server.workers.listeners import Listeners
from lynkr_server.workers.supervisor import Supervisor
from lynkr_server.workers.worker import attempt, serve

__all__ = ["Listeners", "Supervisor", "attempt", "run_folder", "serve"]
