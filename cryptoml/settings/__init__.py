"""The settings of a command: tokens, URLs and folders."""

from cryptoml.settings.load import known_variables, load_settings, nearest_variable, read_dotenv
from cryptoml.settings.schema import LOCAL_STORE, MLFLOW_CREDENTIALS_FILE, SIGNERS, Settings

__all__ = [
    "LOCAL_STORE",
    "MLFLOW_CREDENTIALS_FILE",
    "SIGNERS",
    "Settings",
    "known_variables",
    "load_settings",
    "nearest_variable",
    "read_dotenv",
]
