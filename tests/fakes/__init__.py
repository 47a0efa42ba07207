"""Small servers on loopback that speak the bytes of real services, whole and broken. They ship with the product."""
