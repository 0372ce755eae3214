"""Fault injection: a proxy between cryptoml and the DagsHub stand-in, kills, and the accounts that must balance."""
