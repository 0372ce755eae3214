"""Who and where: tokens, addresses and folders, built once for each command."""

from cryptoml.settings.load import known_variables, load_settings, read_dotenv
from cryptoml.settings.schema import LOCAL_STORE, MLFLOW_CREDENTIALS_FILE, SIGNERS, Settings

__all__ = [
    "LOCAL_STORE",
    "MLFLOW_CREDENTIALS_FILE",
    "SIGNERS",
    "Settings",
    "known_variables",
    "load_settings",
    "read_dotenv",
]
