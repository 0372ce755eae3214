"""Model registry: the registration gate, versions, their stages and the promotion ledger."""
