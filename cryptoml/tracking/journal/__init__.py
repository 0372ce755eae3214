"""The journal: every run is written here first and delivered to the store from here."""
