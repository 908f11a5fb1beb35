"""What a gateway keeps between requests for its clients: the answers they may refer to."""

from lynkr.stores.responses import MemoryResponses, ResponseStore, StoredResponse, tenant_of

__all__ = ["MemoryResponses", "ResponseStore", "StoredResponse", "tenant_of"]
