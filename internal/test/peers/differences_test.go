package peers

// Reasons and bodies that occur more than once.
const (
	noRedirect  = "we never redirect: the request would carry its key to another address"
	allMethods  = "RFC 9110 wants every method of the path in Allow; theirs names those of the first route"
	challenge   = "RFC 9110 requires a challenge with a 401"
	placed      = "the error has its place, as in every other 422"
	unreachable = "such a name does not fit into a path of this API, so it could never be changed or deleted"
	emptyStore  = "theirs says it did what it cannot have done; its later versions answer 404 too"
	duplicate   = "two members of one name are ambiguous, and the last must not win silently"
	unchanged   = "RFC 9110, section 13.1.2: If-None-Match asks for the value only if it has changed, which strongroom run --watch uses; theirs ignores the header"
	untyped     = "theirs fails on a body without a Content-Type; ours takes it for JSON, as 0.53.0 does"

	theirBadName = `{"detail":"Invalid secret name format. Must start with a letter, contain only letters, numbers, and underscores, and be 1-64 characters long."}`
	ourBadName   = `{"detail":[{"type":"value_error","loc":["body","name"],"msg":"Value error, must begin with a letter and have only letters, digits and underscores, 64 characters at most"}]}`
)

// The differences from openhands-agent-server 1.58.2, with reasons.
var agentServerDifferences = []difference{
	{"*", "echoed", "true", "false", "theirs quotes the request in a 422; clients log such answers, and with them the value"},
	{"*", "sorted", "false", "true", "theirs lists in the order of creation, and 0.53.0 moves what is updated to the end; ours by name, which does not change"},
	{"create with empty description", "body", `{"name":"D","description":""}`, `{"name":"D","description":null}`, "an empty description and none are the same to us; clients show both alike"},
	{"null", "body", `{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from"}]}`, `{"detail":[{"type":"missing","loc":["body"],"msg":"Field required"}]}`, "we read null as no body on every route, as 0.53.0 does"},
	{"no content type", "status", "500", "200", untyped},
	{"no content type", "body", `{"detail":"Internal Server Error","exception":"Object of type bytes is not JSON serializable","error_id":"ID"}`, `{"name":"N","description":null}`, untyped},
	{"bad name and value", "body", `{"detail":[{"type":"string_type","loc":["body","value"],"msg":"Input should be a valid string"}]}`, `{"detail":[{"type":"value_error","loc":["body","name"],"msg":"Value error, must begin with a letter and have only letters, digits and underscores, 64 characters at most"},{"type":"string_type","loc":["body","value"],"msg":"Input should be a valid string"}]}`, "ours reports all errors at once; theirs checks the name only after the form"},
	{"value again", "status", "200", "304", unchanged},
	{"value again", "body", "first value", "", unchanged},
	{"value again", "Content-Type", "text/plain; charset=utf-8", "", unchanged},
	{"POST", "Allow", "GET", "OPTIONS, GET, PUT", allMethods},
	{"PATCH", "Allow", "GET", "OPTIONS, DELETE, GET", allMethods},
	{"PUT on a value", "Allow", "GET", "OPTIONS, DELETE, GET", allMethods},
	{"slash at the end", "body", "", `{"detail":"Not Found"}`, noRedirect},
	{"slash at the end", "Content-Type", "", "application/json", noRedirect},
	{"slash at the end", "Location", "/api/settings/secrets", "", noRedirect},
	{"slash at the end", "status", "307", "404", noRedirect},
	{"list without key", "WWW-Authenticate", "", "APIKey", challenge},
	{"value without key", "WWW-Authenticate", "", "APIKey", challenge},
	{"list with wrong key", "WWW-Authenticate", "", "APIKey", challenge},
	{"create without key", "WWW-Authenticate", "", "APIKey", challenge},
	{"create ", "body", theirBadName, ourBadName, placed},
	{"create 1A", "body", theirBadName, ourBadName, placed},
	{"create A-B", "body", theirBadName, ourBadName, placed},
	{"create _A", "body", theirBadName, ourBadName, placed},
	{"create A B", "body", theirBadName, ourBadName, placed},
	{"create é", "body", theirBadName, ourBadName, placed},
	{"create xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "body", theirBadName, ourBadName, placed},
	{"duplicate names", "status", "200", "422", duplicate},
	{"duplicate names", "body", `{"name":"Y","description":null}`, `{"detail":[{"type":"json_invalid","loc":["body",12],"msg":"JSON decode error"}]}`, duplicate},
}

// The differences from openhands-ai 0.53.0, with reasons.
var openHandsDifferences = []difference{
	{"*", "echoed", "true", "false", "theirs quotes the request in a 422; clients log such answers, and with them the value"},
	{"*", "sorted", "false", "true", "theirs lists in the order of creation, and 0.53.0 moves what is updated to the end; ours by name, which does not change"},
	{"update in an empty store", "status", "200", "404", emptyStore},
	{"update in an empty store", "body", `{"message":"Secret updated successfully"}`, `{"error":"Secret with ID A not found"}`, emptyStore},
	{"delete in an empty store", "body", `{"message":"Secret deleted successfully"}`, `{"error":"Secret with ID A not found"}`, emptyStore},
	{"delete in an empty store", "status", "200", "404", emptyStore},
	{"PATCH", "Allow", "GET", "OPTIONS, GET, POST", allMethods},
	{"PUT without an id", "Allow", "GET", "OPTIONS, GET, POST", allMethods},
	{"GET with an id", "Allow", "PUT", "OPTIONS, DELETE, PUT", allMethods},
	{"slash at the end", "body", "", `{"detail":"Not Found"}`, noRedirect},
	{"slash at the end", "Content-Type", "", "application/json", noRedirect},
	{"slash at the end", "Location", "/api/secrets", "", noRedirect},
	{"slash at the end", "status", "307", "404", noRedirect},
	{"list without key", "WWW-Authenticate", "", "APIKey", challenge},
	{"create without key", "WWW-Authenticate", "", "APIKey", challenge},
	{"list with wrong key", "WWW-Authenticate", "", "APIKey", challenge},
	{"create name a/b", "status", "201", "422", unreachable},
	{"create name a/b", "body", `{"message":"Secret created successfully"}`, `{"detail":[{"type":"value_error","loc":["body","name"],"msg":"Value error, must not contain slashes or control characters"}]}`, unreachable},
	{"create name a\\tb", "body", `{"message":"Secret created successfully"}`, `{"detail":[{"type":"value_error","loc":["body","name"],"msg":"Value error, must not contain slashes or control characters"}]}`, unreachable},
	{"create name a\\tb", "status", "201", "422", unreachable},
	{"create name .", "status", "201", "422", unreachable},
	{"create name .", "body", `{"message":"Secret created successfully"}`, `{"detail":[{"type":"value_error","loc":["body","name"],"msg":"Value error, must not be a dot or two"}]}`, unreachable},
	{"create name ..", "body", `{"message":"Secret created successfully"}`, `{"detail":[{"type":"value_error","loc":["body","name"],"msg":"Value error, must not be a dot or two"}]}`, unreachable},
	{"create name ..", "status", "201", "422", unreachable},
	{"create name ", "status", "201", "422", unreachable},
	{"create name ", "body", `{"message":"Secret created successfully"}`, `{"detail":[{"type":"value_error","loc":["body","name"],"msg":"Value error, must not be empty"}]}`, unreachable},
}
