"""One file per kind of provider; an adapter knows its wire and neither Django nor the database."""
