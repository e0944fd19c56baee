// Writes and reads through clients that openapi-typescript has generated the types of, and prints what it got.
import createClient from "openapi-fetch";
import type { paths as AgentServer } from "./agentserver.js";
import type { paths as Nx1 } from "./nx1.js";
import type { paths as OpenHands } from "./openhands.js";
import type { paths as OpenHandsV1 } from "./openhandsv1.js";
import type { paths as Sandbox } from "./sandbox.js";
import type { paths as Vault } from "./vault.js";

declare const process: { argv: string[]; env: Record<string, string> };

const baseUrl = process.argv[2]!, shop = "7c9e6679-7425-40de-944b-e07fc1f90ae7", value = "sécret 🔑";
const key = process.env["KEY"]!, session = { baseUrl, headers: { "X-Session-API-Key": key } };
const nx1 = createClient<Nx1>({ baseUrl, headers: { "Authorization-PSK": process.env["PSK"]! } });
const openhands = createClient<OpenHands>(session);
const agentserver = createClient<AgentServer>(session);
const openhandsv1 = createClient<OpenHandsV1>(session);
const sandbox = createClient<Sandbox>(session);
const vault = createClient<Vault>({ baseUrl, headers: { "X-Vault-Token": key } });

const app = { path: { app_id: shop } }, secret = { path: { app_id: shop, secret_name: "generated" } };
const body = { secret_name: "generated", data: [{ key: "PASSWORD", value }] };
const created = await nx1.POST("/api/app/{app_id}/secrets", { params: app, body });
const taken = await nx1.POST("/api/app/{app_id}/secrets", { params: app, body });
const masked = await nx1.GET("/api/app/{app_id}/secrets/{secret_name}", { params: secret });
const revealed = await nx1.GET("/api/app/{app_id}/secrets/{secret_name}/reveal", { params: secret });
const custom = await openhands.POST("/api/secrets", { body: { name: "GENERATED", value } });
const names = await openhands.GET("/api/secrets");
const read = await agentserver.GET("/api/settings/secrets/{name}", { params: { path: { name: "GENERATED" } }, parseAs: "text" });
const found = await openhandsv1.GET("/api/v1/secrets/search", { params: { query: { name__contains: "GEN" } } });
const stranger = await sandbox.GET("/api/v1/sandboxes/{sandbox_id}/settings/secrets", { params: { path: { sandbox_id: "box" } } });
const row = await vault.GET("/v1/{mount}/data/{kind}/{owner}/{name}", {
  params: { path: { mount: "secret", kind: "user", owner: "me", name: "GENERATED" } },
});
const list = await vault.GET("/v1/{mount}/metadata/{kind}/{owner}", {
  params: { path: { mount: "secret", kind: "app", owner: shop }, query: { list: "true" } },
});
const deleted = await nx1.DELETE("/api/app/{app_id}/secrets/{secret_name}", { params: secret });
const gone = await nx1.GET("/api/app/{app_id}/secrets/{secret_name}/reveal", { params: secret });
const customDeleted = await openhands.DELETE("/api/secrets/{secret_id}", { params: { path: { secret_id: "GENERATED" } } });

console.log(JSON.stringify({
  created: created.data!.secret_name, taken: taken.response.status,
  masked: masked.data!.data![0]!.value, revealed: revealed.data!.data![0]!.value,
  custom: custom.response.status, names: names.data!.custom_secrets!.map((s) => s.name), value: read.data,
  found: found.data!.items.map((s) => s.name), stranger: stranger.response.status,
  vault: row.data!.data.data["value"], keys: list.data!.data.keys,
  deleted: deleted.data!.success, gone: gone.response.status, custom_deleted: customDeleted.response.status,
}));
