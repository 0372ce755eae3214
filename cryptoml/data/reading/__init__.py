"""Candle files as people have them: tables, headers, columns, dates, time zones."""
