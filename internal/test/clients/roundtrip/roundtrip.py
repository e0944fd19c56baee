"""Writes and reads through clients that openapi-python-client has generated, and prints what it got: roundtrip.py URL"""

import json
import os
import sys
from uuid import UUID

from agentserver.api.default import get_secret_value
from agentserver.client import AuthenticatedClient as AgentServer
from nx1.api.app_manager import (
    create_secret_api_app_app_id_secrets_post as nx1_create,
    delete_secret_api_app_app_id_secrets_secret_name_delete as nx1_delete,
    get_secret_api_app_app_id_secrets_secret_name_get as nx1_get,
    reveal_secret_api_app_app_id_secrets_secret_name_reveal_get as nx1_reveal,
)
from nx1.client import AuthenticatedClient as Nx1
from nx1.models import CreateSecretRequest, SecretKeyValue
from openhands.api.default import create_custom_secret_api_secrets_post as create
from openhands.api.default import delete_custom_secret_api_secrets_secret_id_delete as delete
from openhands.api.default import load_custom_secrets_names_api_secrets_get as names
from openhands.client import AuthenticatedClient as OpenHands
from openhands.models import CustomSecretModel
from openhandsv1.api.default import search_custom_secrets_api_v1_secrets_search_get as search
from openhandsv1.client import AuthenticatedClient as OpenHandsV1
from sandbox.api.default import list_secret_names_api_v1_sandboxes_sandbox_id_settings_secrets_get as sandbox_names
from sandbox.client import AuthenticatedClient as Sandbox
from vault.api.default import list_secrets, read_secret
from vault.client import AuthenticatedClient as Vault

URL, SHOP, VALUE = sys.argv[1], UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7"), "sécret 🔑"


def client(kind, header, key="KEY"):
    return kind(base_url=URL, token=os.environ[key], prefix="", auth_header_name=header)


nx1 = client(Nx1, "Authorization-PSK", "PSK")
openhands = client(OpenHands, "X-Session-API-Key")
body = CreateSecretRequest(secret_name="generated", data=[SecretKeyValue(key="PASSWORD", value=VALUE)])
got = {
    "created": nx1_create.sync(SHOP, client=nx1, body=body).secret_name,
    "taken": nx1_create.sync_detailed(SHOP, client=nx1, body=body).status_code,
    "masked": nx1_get.sync(SHOP, "generated", client=nx1).data[0].value,
    "revealed": nx1_reveal.sync(SHOP, "generated", client=nx1).data[0].value,
    "custom": create.sync_detailed(client=openhands, body=CustomSecretModel(name="GENERATED", value=VALUE)).status_code,
    "names": [s.name for s in names.sync(client=openhands).custom_secrets],
    "value": get_secret_value.sync("GENERATED", client=client(AgentServer, "X-Session-API-Key")),
    "found": [s.name for s in search.sync(client=client(OpenHandsV1, "X-Session-API-Key"), name_contains="GEN").items],
    "stranger": sandbox_names.sync_detailed("box", client=client(Sandbox, "X-Session-API-Key")).status_code,
    "vault": read_secret.sync("secret", "user", "me", "GENERATED", client=client(Vault, "X-Vault-Token")).data.data["value"],
    "keys": list_secrets.sync("secret", "app", str(SHOP), client=client(Vault, "X-Vault-Token"), list_="true").data.keys,
    "deleted": nx1_delete.sync(SHOP, "generated", client=nx1).success,
    "gone": nx1_reveal.sync_detailed(SHOP, "generated", client=nx1).status_code,
    "custom_deleted": delete.sync_detailed("GENERATED", client=openhands).status_code,
}
print(json.dumps(got))
