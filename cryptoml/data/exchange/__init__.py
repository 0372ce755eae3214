"""Candles from exchanges: sources, a client with retries, history page by page."""
