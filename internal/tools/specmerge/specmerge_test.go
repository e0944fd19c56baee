package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const given = `
openapi: 3.1.0
security: []
paths:
  /secrets/{id}:
    put:
      operationId: put_secret
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
      responses:
        '200':
          description: Fine
          content: {application/json: {schema: {$ref: '#/components/schemas/Secret'}}}
        '404': {description: Missing & gone}
      security:
        - key: []
components:
  schemas:
    Secret:
      type: object
      required: [name]
      properties:
        name: {type: string}
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key}
`

const additions = `
  - target: $.paths
    update:
      /secrets:
        get: {security: [{key: []}], responses: {'200': {description: All}}}
  - target: $.paths['/secrets/{id}']
    update:
      delete: {security: [{key: []}], responses: {'204': {description: Gone}}}
  - target: $.paths['/secrets/{id}'].put.parameters
    update:
      - {name: If-Match, in: header, schema: {type: string}}
  - target: $.paths['/secrets/{id}'].put.responses
    update:
      '200':
        headers: {ETag: {schema: {type: string}}}
      '404':
        content: {text/plain: {schema: {type: string}}}
      '503': {description: Later}
  - target: $.components
    update:
      headers: {ETag: {schema: {type: string}}}
  - target: $.components.schemas
    update:
      Problem: {type: object}
`

const merged = `{
  "openapi": "3.1.0",
  "security": [],
  "paths": {
    "/secrets/{id}": {
      "put": {
        "operationId": "put_secret",
        "parameters": [
          {
            "name": "id",
            "in": "path",
            "required": true,
            "schema": {
              "type": "string"
            }
          },
          {
            "name": "If-Match",
            "in": "header",
            "schema": {
              "type": "string"
            }
          }
        ],
        "responses": {
          "200": {
            "description": "Fine",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Secret"
                }
              }
            },
            "headers": {
              "ETag": {
                "schema": {
                  "type": "string"
                }
              }
            }
          },
          "404": {
            "description": "Missing & gone",
            "content": {
              "text/plain": {
                "schema": {
                  "type": "string"
                }
              }
            }
          },
          "503": {
            "description": "Later"
          }
        },
        "security": [
          {
            "key": []
          }
        ]
      },
      "delete": {
        "security": [
          {
            "key": []
          }
        ],
        "responses": {
          "204": {
            "description": "Gone"
          }
        }
      }
    },
    "/secrets": {
      "get": {
        "security": [
          {
            "key": []
          }
        ],
        "responses": {
          "200": {
            "description": "All"
          }
        }
      }
    }
  },
  "components": {
    "schemas": {
      "Secret": {
        "type": "object",
        "required": [
          "name"
        ],
        "properties": {
          "name": {
            "type": "string"
          }
        }
      },
      "Problem": {
        "type": "object"
      }
    },
    "securitySchemes": {
      "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Key"
      }
    },
    "headers": {
      "ETag": {
        "schema": {
          "type": "string"
        }
      }
    }
  }
}
`

func TestMergeKeepsOrderAndAdds(t *testing.T) {
	dir := mustWrite(t, given, additions)
	if err := run(dir, "doc"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "merged", "doc.json"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != merged {
		t.Errorf("merged document:\n%s\nwant:\n%s", got, merged)
	}
}

// Each overlay is refused, the error names the place, and nothing is written.
func TestMergeRefusesToChangeWhatWasGiven(t *testing.T) {
	const put = "$.paths['/secrets/{id}'].put"
	for _, tc := range []struct {
		name, target, action, where string
	}{
		{"a target that matches nothing", "$.paths['/sercets']", "update: {get: {}}", "$.paths['/sercets']"},
		{"a description that is no text", put + ".responses['404']", "update: {description: {a: b}}", put + ".responses['404'].description"},
		{"a property called description", "$.components.schemas.Secret.properties", "update: {description: {type: string}}", "$.components.schemas.Secret.properties.description"},
		{"the address of an API key", "$.components.securitySchemes.key", "update: {tokenUrl: https://sso.example}", "$.components.securitySchemes.key.tokenUrl"},
		{"a changed text", put, "update: {operationId: other}", put + ".operationId"},
		{"a changed type", put + ".parameters[0].schema", "update: {type: integer}", put + ".parameters[0].schema.type"},
		{"an object in place of a text", put, "update: {operationId: {a: b}}", put + ".operationId"},
		{"a removed response", put + ".responses['404']", "remove: true", put + ".responses['404']"},
		{"a removed parameter", put + ".parameters[0]", "remove: true", put + ".parameters"},
		{"a new key of the document", "$", "update: {webhooks: {}}", "$.webhooks"},
		{"a new key of a path", "$.paths['/secrets/{id}']", "update: {parameters: []}", "$.paths['/secrets/{id}'].parameters"},
		{"a new key of an operation", put, "update: {deprecated: true}", put + ".deprecated"},
		{"a body for an operation", put, "update: {requestBody: {content: {}}}", put + ".requestBody"},
		{"a new property", "$.components.schemas.Secret.properties", "update: {color: {type: string}}", "$.components.schemas.Secret.properties.color"},
		{"a keyword for a property", "$.components.schemas.Secret.properties.name", "update: {maxLength: 3}", "$.components.schemas.Secret.properties.name.maxLength"},
		{"a longer required", "$.components.schemas.Secret.required", "update: [color]", "$.components.schemas.Secret.required[1]"},
		{"another way to authenticate", put + ".security", "update: [{other: []}]", put + ".security[1]"},
		{"a scope for a scheme", put + ".security[0].key", "update: [scope]", put + ".security[0].key[0]"},
		{"security for all operations", "$.security", "update: [{key: []}]", "$.security[0]"},
		{"a header that is required", put + ".parameters", "update: [{name: A, in: header, required: true}]", put + ".parameters[1]"},
		{"a query parameter", put + ".parameters", "update: [{name: a, in: query}]", put + ".parameters[1]"},
		{"a parameter behind a reference", put + ".parameters", "update: [{$ref: '#/components/parameters/A'}]", put + ".parameters[1]"},
		{"another content type", put + ".responses['200'].content", "update: {text/plain: {}}", put + ".responses['200'].content['text/plain']"},
		{"links in a response", put + ".responses['200']", "update: {links: {}}", put + ".responses['200'].links"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantRefusal(t, given, "  - target: "+tc.target+"\n    "+tc.action, tc.where)
		})
	}
}

// Only readers use descriptions and the addresses of servers and of a login.
func TestMergeMayReplaceDescriptions(t *testing.T) {
	doc := "servers: [{url: 'https://theirs.example', description: Theirs}]" + strings.Replace(given, "  securitySchemes:\n",
		"  securitySchemes:\n    sso: {type: oauth2, flows: {authorizationCode: {scopes: {}, authorizationUrl: 'https://theirs.example/a', tokenUrl: 'https://theirs.example/t'}}}\n", 1)
	dir := mustWrite(t, doc, `
  - target: $.servers[*]
    remove: true
  - target: $.servers
    update: [{url: /, description: Ours}]
  - target: $.paths['/secrets/{id}'].put
    update: {summary: Ours, description: Ours, responses: {'200': {description: Ours}, '404': {description: Ours}}}
  - target: $.components.schemas.Secret.properties.name
    update: {description: Ours}
  - target: $.components.securitySchemes.sso
    update: {description: Ours, flows: {authorizationCode: {authorizationUrl: 'https://sso.example/a', tokenUrl: 'https://sso.example/t'}}}
`)
	if err := run(dir, "doc"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "merged", "doc.json"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), "Ours"); n != 7 || strings.Contains(strings.ToLower(string(got)), "theirs") {
		t.Errorf("got %d texts of ours in\n%s", n, got)
	}
}

func TestMergeRefusesAnotherDefault(t *testing.T) {
	doc := strings.Replace(given, "name: {type: string}", "name: {default: {description: given}}", 1)
	const where = "$.components.schemas.Secret.properties.name.default"
	wantRefusal(t, doc, "  - target: "+where+"\n    update: {description: other}", where+".description")
}

func TestMergeRefusesAnOpenOperation(t *testing.T) {
	for _, security := range []string{"", "security: []", "security: [{}]", "security: [{key: []}, {}]"} {
		t.Run(security, func(t *testing.T) {
			overlay := "  - target: $.paths\n    update: {/secrets: {get: {" + security + "}}}"
			wantRefusal(t, given, overlay, "$.paths['/secrets'].get")
		})
	}
}

func TestMergeRefusesAKeyThatIsThereTwice(t *testing.T) {
	twice := "  - target: $.components.schemas\n    update: {A: {type: string, type: object}}"
	wantRefusal(t, given, twice, `duplicate key "type"`)
}

func wantRefusal(t *testing.T, doc, actions, where string) {
	t.Helper()
	dir := mustWrite(t, doc, actions)
	err := run(dir, "doc")
	if err == nil {
		t.Fatal("the overlay was accepted")
	}
	if !strings.Contains(err.Error()+":", where+":") && !strings.Contains(err.Error(), `"`+where+`"`) {
		t.Errorf("got %q, want the error to name %s", err, where)
	}
	if _, err := os.Stat(filepath.Join(dir, "merged")); !os.IsNotExist(err) {
		t.Error("something was written")
	}
}

// mustWrite writes a document and an overlay in the layout of specs/.
func mustWrite(t *testing.T, doc, actions string) string {
	t.Helper()
	dir := t.TempDir()
	overlay := "overlay: 1.0.0\ninfo: {title: Test, version: 1.0.0}\nactions:\n" + actions
	if err := os.Mkdir(filepath.Join(dir, "overlay"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"doc.yaml": doc, "overlay/doc.yaml": overlay} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
