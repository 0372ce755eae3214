"""Artifacts: uploads, downloads, where they lie, and proof that they arrived."""
