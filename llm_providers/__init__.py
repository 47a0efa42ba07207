"""Everything between a request and a model. `client.UnifiedLLMClient` is the one door of the room."""
