"""Pages that look across rooms. It has no models; what a page changes it changes through the room below."""
