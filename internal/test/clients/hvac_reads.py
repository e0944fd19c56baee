"""Reads secrets with hvac and prints what it returns as JSON: hvac_reads.py URL PATH..."""

import json
import os
import sys

import hvac


def told(call):
    """Returns the result of the call, or the name of the exception and its text."""
    try:
        return call()
    except hvac.exceptions.VaultError as e:
        return f"{type(e).__name__}: {e.errors}"


client = hvac.Client(url=sys.argv[1], token=os.environ["TOKEN"])
kv = client.secrets.kv.v2
secret, folder, missing = sys.argv[2:]
print(json.dumps({
    "authenticated": client.is_authenticated(),
    "stranger": hvac.Client(url=sys.argv[1], token="hvs.unknown").is_authenticated(),
    "subject": client.lookup_token()["data"]["display_name"],
    "healthy": client.sys.read_health_status(method="HEAD").status_code,
    "health": client.sys.read_health_status(method="GET")["sealed"],
    "data": kv.read_secret_version(path=secret, raise_on_deleted_version=True)["data"]["data"],
    "first": kv.read_secret_version(path=secret, version=1, raise_on_deleted_version=True)["data"]["data"],
    "version": kv.read_secret_metadata(path=secret)["data"]["current_version"],
    "keys": kv.list_secrets(path=folder)["data"]["keys"],
    "missing": told(lambda: kv.read_secret_version(path=missing, raise_on_deleted_version=True)),
    "write": told(lambda: kv.create_or_update_secret(path=secret, secret={"A": "b"})),
    "delete": told(lambda: kv.delete_metadata_and_all_versions(path=secret)),
}, sort_keys=True, indent=1))
