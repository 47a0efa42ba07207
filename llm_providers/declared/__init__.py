"""What the team declares in config/llm_providers.yaml: read by the line, checked, kept in step with the rows."""
