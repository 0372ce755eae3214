"""Reading of candle files: formats, headers, columns, dates, time zones."""
