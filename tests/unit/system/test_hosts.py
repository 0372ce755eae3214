"""A secret is sent only to hosts named by its own source, trusted hosts, and dagshub.com."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryptoml.errors import AccessError, ConfigError, UsageError
from cryptoml.settings import load_settings
from cryptoml.system.clones import dagshub_remote
from cryptoml.system.hosts import host_key, normalize_address
from cryptoml.tracking.moving.read_only import full_address

EVIL = "http://127.0.0.1:9"
TOKEN, HOST = "DAGSHUB_TOKEN=k3y\n", f"DAGSHUB_CLIENT_HOST={EVIL}\n"
URI = f"MLFLOW_TRACKING_URI={EVIL}\n"


def set_up(folder: Path, monkeypatch: pytest.MonkeyPatch, *, dotenv: str, environ: str) -> None:
    (folder / ".env").write_text(dotenv)
    for line in environ.splitlines():
        monkeypatch.setenv(*line.split("=", 1))


@pytest.mark.parametrize(
    ("dotenv", "environ"),
    [
        (HOST, TOKEN),
        (TOKEN, HOST),
        (f"{HOST}DAGSHUB_TOKEN=junk\n", TOKEN),
        (HOST.lower(), TOKEN),
    ],
)
def test_a_dagshub_token_and_host_from_different_sources_are_rejected(tmp_path, monkeypatch, dotenv, environ):
    set_up(tmp_path, monkeypatch, dotenv=dotenv, environ=environ)
    settings = load_settings(cwd=tmp_path)
    with pytest.raises(AccessError, match=r"DAGSHUB_TOKEN comes from .*127\.0\.0\.1:9") as caught:
        settings.dagshub_secret()
    assert "cryptoml setup-remotes --trust-host" in caught.value.hint
    assert "add 127.0.0.1:9 to CRYPTOML_TRUSTED_HOSTS" in caught.value.hint
    assert "k3y" not in str(caught.value)
    assert settings.trusting(EVIL).dagshub_secret() == "k3y"
    monkeypatch.setenv("CRYPTOML_TRUSTED_HOSTS", "mirror.example, 127.0.0.1:9")
    assert load_settings(cwd=tmp_path).dagshub_secret() == "k3y"


@pytest.mark.parametrize(
    ("dotenv", "environ"),
    [
        (TOKEN + HOST, ""),
        ("", TOKEN + HOST),
        ("", TOKEN),
        (TOKEN, ""),
        ("DAGSHUB_CLIENT_HOST=https://dagshub.com\n", TOKEN),
        (TOKEN + HOST, TOKEN),
        (HOST, TOKEN + HOST),
    ],
)
def test_a_dagshub_token_may_be_sent_to_a_host_of_its_own_source_and_to_dagshub(tmp_path, monkeypatch, dotenv, environ):
    set_up(tmp_path, monkeypatch, dotenv=dotenv, environ=environ)
    assert load_settings(cwd=tmp_path).dagshub_secret() == "k3y"


@pytest.mark.parametrize(
    ("dotenv", "environ"),
    [
        (URI, "MLFLOW_TRACKING_PASSWORD=k3y\n"),
        (URI, "MLFLOW_TRACKING_PASSWORD=k3y\nMLFLOW_TRACKING_USERNAME=ada\n"),
        (f"{URI}MLFLOW_TRACKING_PASSWORD=junk\n", "MLFLOW_TRACKING_USERNAME=k3y\n"),
        (URI, "MLFLOW_TRACKING_TOKEN=k3y\n"),
        (URI, "MLFLOW_TRACKING_AWS_SIGV4=true\n"),
        ("MLFLOW_TRACKING_PASSWORD=k3y\n", URI),
        (f"{HOST}{URI.strip()}/ada/coins.mlflow\n", TOKEN),
        (f"{HOST}DAGSHUB_USERNAME=ada\nDAGSHUB_REPO=coins\n", TOKEN),
    ],
)
def test_mlflow_credentials_for_a_host_from_another_source_are_rejected(tmp_path, monkeypatch, dotenv, environ):
    set_up(tmp_path, monkeypatch, dotenv=dotenv, environ=environ)
    with pytest.raises(AccessError, match=r"comes from .*127\.0\.0\.1:9.*Nothing was sent") as caught:
        load_settings(cwd=tmp_path).mlflow_credentials()
    assert "k3y" not in str(caught.value)
    assert "CRYPTOML_TRUSTED_HOSTS in the environment" in caught.value.hint
    monkeypatch.setenv("CRYPTOML_TRUSTED_HOSTS", EVIL)
    load_settings(cwd=tmp_path).mlflow_credentials()


@pytest.mark.parametrize("spelling", ["HTTP://{}", "hTtp://{}", "' http://{}'", '"\\nhttp://{}\\t"', "'http://{} '"])
@pytest.mark.parametrize("secret", ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD"])
def test_no_spelling_of_an_address_bypasses_the_check(tmp_path, monkeypatch, spelling, secret):
    dotenv = f"MLFLOW_TRACKING_URI={spelling.format(host_key(EVIL))}\n"
    set_up(tmp_path, monkeypatch, dotenv=dotenv, environ=f"{secret}=k3y\n")
    settings = load_settings(cwd=tmp_path)
    assert settings.mlflow_uri() == EVIL
    with pytest.raises(AccessError, match=rf"{secret} comes from .*127\.0\.0\.1:9.*Nothing was sent"):
        settings.mlflow_credentials()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f" {EVIL} ")
    load_settings(cwd=tmp_path).mlflow_credentials()


@pytest.mark.parametrize("address", ["ht\ttp://h", "http://h\n.org", "http://h\0"])
def test_an_address_with_control_characters_is_rejected(address):
    with pytest.raises(ValueError, match="control characters"):
        normalize_address(address)


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_URI", "DAGSHUB_CLIENT_HOST", "CRYPTOML_EXCHANGE_URL"])
@pytest.mark.parametrize("address", ["http://[::1", "https://ada:k3y@[::1", "http://h]"])
def test_a_malformed_address_raises_a_config_error(tmp_path, monkeypatch, variable, address):
    set_up(tmp_path, monkeypatch, dotenv=f"{variable}={address}\n", environ="")
    with pytest.raises(ConfigError, match=variable) as caught:
        load_settings(cwd=tmp_path)
    assert "k3y" not in str(caught.value)
    with pytest.raises(UsageError) as refused:
        full_address(address, project_dir=tmp_path)
    assert "k3y" not in str(refused.value)


def test_the_mlflow_credentials_file_is_a_secret_of_the_environment(tmp_path, monkeypatch):
    set_up(tmp_path, monkeypatch, dotenv=URI, environ="")
    assert load_settings(cwd=tmp_path).mlflow_credentials() is None
    file = Path("~/.mlflow/credentials").expanduser()
    file.parent.mkdir()
    file.write_text("[mlflow]\nmlflow_tracking_username = ada\nmlflow_tracking_password = k3y\n")
    with pytest.raises(AccessError, match=r"\.mlflow/credentials comes from"):
        load_settings(cwd=tmp_path).mlflow_credentials()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", EVIL)
    assert load_settings(cwd=tmp_path).mlflow_credentials() is None


def test_a_project_folder_named_by_the_environment_is_not_trusted(tmp_path, monkeypatch):
    (tmp_path / "clone").mkdir()
    set_up(tmp_path / "clone", monkeypatch, dotenv=HOST, environ=f"{TOKEN}CRYPTOML_PROJECT_DIR={tmp_path}/clone\n")
    with pytest.raises(AccessError):
        load_settings().dagshub_secret()


def test_dotenv_cannot_name_trusted_hosts(tmp_path):
    (tmp_path / ".env").write_text("CRYPTOML_TRUSTED_HOSTS=127.0.0.1:9\n")
    with pytest.raises(ConfigError, match="is only read from the environment"):
        load_settings(cwd=tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/${DAGSHUB_TOKEN}",
        "https://evil.example/$DAGSHUB_TOKEN",
        "https://evil.example/${dagshub_token_backup}",
        "https://${AWS_SECRET_ACCESS_KEY}.evil.example",
        "postgresql://u:${PGPASSWORD}@evil.example/d",
        "https://evil.example/?x=${HTTPS_PROXY}",
    ],
)
def test_dotenv_cannot_copy_a_secret_of_the_environment_into_an_address(tmp_path, monkeypatch, address):
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:k3y@proxy.example")
    for name in ("DAGSHUB_TOKEN", "dagshub_token_backup", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "k3y")
    for setting in ("MLFLOW_TRACKING_URI", "DAGSHUB_CLIENT_HOST", "CRYPTOML_ARTIFACT_ROOT", "CRYPTOML_EXCHANGE_URL"):
        (tmp_path / ".env").write_text(f"{setting}={address}\n")
        with pytest.raises(ConfigError, match=f"{setting} in .env: the environment variable") as caught:
            load_settings(cwd=tmp_path)
        assert "k3y" not in str(caught.value)


def test_a_secret_is_expanded_in_an_address_of_its_own_source(tmp_path, monkeypatch):
    address = "postgresql://u:${PGPASSWORD}@db.example/mlflow"
    (tmp_path / ".env").write_text(f"PGPASSWORD=own\nMLFLOW_TRACKING_URI={address}\n")
    monkeypatch.setenv("PGPASSWORD", "k3y")
    assert load_settings(cwd=tmp_path).mlflow_uri() == "postgresql://u:own@db.example/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    settings = load_settings(cwd=tmp_path)
    assert settings.mlflow_uri() == "postgresql://u:k3y@db.example/mlflow"
    assert "k3y" not in repr(settings)


def test_dotenv_cannot_change_an_address_of_the_environment(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("HUB=evil.example\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://$HUB")
    with pytest.raises(ConfigError, match="the variable HUB is not set"):
        load_settings(cwd=tmp_path)


def test_an_overridden_address_in_dotenv_need_not_be_expandable(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("MLFLOW_TRACKING_URI=https://x/${DAGSHUB_TOKEN}\n")
    monkeypatch.setenv("DAGSHUB_TOKEN", "k3y")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    assert load_settings(cwd=tmp_path).mlflow_uri() == f"sqlite:///{tmp_path}/mlflow.db"


def test_the_host_check_uses_the_expanded_address(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "k3y")
    monkeypatch.setenv("USER", "evil")
    (tmp_path / ".env").write_text("MLFLOW_TRACKING_URI=https://$USER.example\n")
    with pytest.raises(AccessError, match=r"its destination evil\.example is named by"):
        load_settings(cwd=tmp_path).mlflow_credentials()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://$USER.example")
    assert load_settings(cwd=tmp_path).mlflow_credentials() == ("k3y", "k3y")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("https://dagshub.com", "dagshub.com:443"),
        ("HTTPS://DagsHub.com:443/x", "dagshub.com:443"),
        ("dagshub.com", "dagshub.com:443"),
        ("http://[::1]:8/", "[::1]:8"),
        ("[::1]:8", "[::1]:8"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("https://dagshub.com.evil.org", "dagshub.com.evil.org:443"),
        ("https://evil.org\\@dagshub.com", ""),
        ("https://dagshub.com@evil.org", ""),
        ("https://dagshub.com\t.evil.org", ""),
        ("https://h:99999", ""),
        ("", ""),
    ],
)
def test_an_address_that_libraries_may_parse_differently_has_no_host_key(address, key):
    assert host_key(address) == key


GIT = '[core]\n\tbare = false\n[remote "origin"]\n\tfetch = +refs/*\n\turl = {url}\n\tfetch = +refs/heads/*\n'
DVC = "[core]\n    remote = dagshub\n['remote \"dagshub\"']\n    url = {url}\n"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://dagshub.com/ada/coins.git", True),
        ("https://ada:k3y@dagshub.com/ada/coins.git", True),
        ("git@dagshub.com:ada/coins.git", True),
        ("https://git.example.org/ada/coins.git", False),
        ("https://dagshub.com.example.org/a/b.git", False),
        ("../elsewhere", False),
    ],
)
def test_a_clone_from_dagshub_is_detected_by_its_git_remote(tmp_path, url, found):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(GIT.format(url=url))
    assert dagshub_remote(tmp_path, EVIL) == ("git remote origin" if found else None)


def test_a_linked_worktree_and_a_subfolder_are_detected_too(tmp_path):
    git = tmp_path / "main" / ".git"
    (git / "worktrees" / "w").mkdir(parents=True)
    (git / "config").write_text(GIT.format(url=f"{EVIL}/ada/coins.git"))
    (git / "worktrees" / "w" / "commondir").write_text("../..\n")
    (tmp_path / "w" / "sub").mkdir(parents=True)
    (tmp_path / "w" / ".git").write_text(f"gitdir: {git}/worktrees/w\n")
    assert dagshub_remote(tmp_path / "w" / "sub", EVIL) == "git remote origin"


@pytest.mark.parametrize(
    "config",
    [
        DVC.format(url="https://dagshub.com/ada/coins.dvc"),
        DVC.format(url="s3://dvc") + "    endpointurl = https://dagshub.com/a/b.s3\n",
    ],
)
def test_a_clone_from_dagshub_is_detected_by_its_dvc_remote(tmp_path, config):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(config)
    assert dagshub_remote(tmp_path, EVIL) == "DVC remote dagshub"
    (tmp_path / "team").mkdir()
    assert dagshub_remote(tmp_path / "team", EVIL) == "DVC remote dagshub"


def clone_of(folder: Path) -> None:
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text(DVC.format(url="https://dagshub.com/ada/coins.dvc"))


def test_a_clone_without_set_up_creates_no_local_store(tmp_path, monkeypatch):
    clone_of(tmp_path)
    with pytest.raises(AccessError, match="DVC remote dagshub refers to DagsHub") as caught:
        load_settings(cwd=tmp_path).check_connected()
    assert "cryptoml setup-remotes" in caught.value.hint
    assert "MLFLOW_TRACKING_URI=sqlite:///mlflow.db" in caught.value.hint
    (tmp_path / ".env").write_text("MLFLOW_TRACKING_URI=sqlite:///mlflow.db\n")
    load_settings(cwd=tmp_path).check_connected()
    (tmp_path / ".env").unlink()
    for name, text in (("USERNAME", "ada"), ("TOKEN", "k3y"), ("REPO", "coins")):
        monkeypatch.setenv(f"DAGSHUB_{name}", text)
    load_settings(cwd=tmp_path).check_connected()


def test_an_existing_store_remains_in_use(tmp_path):
    clone_of(tmp_path)
    (tmp_path / "mlflow.db").touch()
    load_settings(cwd=tmp_path).check_connected()


@pytest.mark.parametrize("dotenv", ["DAGSHUB_REPO=ada/coins\n", "DAGSHUB_USERNAME=ada\n"])
def test_an_incomplete_set_up_creates_no_local_store(tmp_path, dotenv):
    (tmp_path / ".env").write_text(dotenv)
    with pytest.raises(AccessError, match="incomplete"):
        load_settings(cwd=tmp_path).check_connected()


def test_a_user_name_in_the_environment_does_not_prevent_a_local_store(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSHUB_USERNAME", "ada")
    monkeypatch.setenv("DAGSHUB_TOKEN", "k3y")
    load_settings(cwd=tmp_path).check_connected()


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "DAGSHUB_CLIENT_HOST"])
@pytest.mark.parametrize("address", ["http://[bad", "https://ada:pa55@host:port/"])
def test_a_malformed_address_in_the_environment_raises_a_config_error(name, address, tmp_path, monkeypatch):
    monkeypatch.setenv(name, address)
    with pytest.raises(ConfigError, match=f"{name}.*invalid address") as caught:
        load_settings(cwd=tmp_path)
    assert "pa55" not in str(caught.value)
