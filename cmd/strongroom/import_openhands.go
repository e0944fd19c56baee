package main

import (
	"errors"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/strongroom/strongroom/internal/api/openhands/custom"
)

var errNotSecretsJSON = errors.New("it is not a secrets.json of OpenHands")

// parseOpenHands reads a secrets.json. It reports an error in a single secret with that
// secret, and reads on. OpenHands itself would drop such a secret at its next write.
func (c openHandsCipher) parseOpenHands(text []byte) (o openHands, err error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(text, &members); err != nil {
		return o, errNotSecretsJSON // the decoder's error may quote the text
	}
	if o.secrets, err = parseEach(members["custom_secrets"], c.parseCustom); err != nil {
		return o, err
	}
	if o.tokens, err = parseEach(members["provider_tokens"], c.parseToken); err != nil {
		return o, err
	}
	for _, read := range []string{"custom_secrets", "provider_tokens", "_credential_versions"} { // the last has no values
		delete(members, read)
	}
	o.unknown = slices.Sorted(maps.Keys(members))
	return o, nil
}

func parseEach(text jsontext.Value, parse func(jsontext.Value) foreign) (map[string]foreign, error) {
	if text == nil {
		return nil, nil
	}
	var all map[string]jsontext.Value
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, errNotSecretsJSON
	}
	parsed := map[string]foreign{}
	for name, value := range all {
		parsed[name] = parse(value)
	}
	return parsed, nil
}

func (c openHandsCipher) parseCustom(text jsontext.Value) foreign {
	var kept struct {
		Secret      *string `json:"secret"`
		Description *string `json:"description"`
	}
	if err := json.Unmarshal(text, &kept); err != nil || kept.Secret == nil {
		return foreign{wrong: "it has no value"}
	}
	value, wrong := c.open(*kept.Secret)
	f := foreign{data: map[string]string{custom.ValueKey: value}, wrong: wrong}
	if kept.Description != nil {
		f.description = *kept.Description
	}
	return f
}

func (c openHandsCipher) parseToken(text jsontext.Value) foreign {
	var kept struct {
		Token  *string `json:"token"`
		UserID *string `json:"user_id"`
		Host   *string `json:"host"`
	}
	if err := json.Unmarshal(text, &kept); err != nil || kept.Token == nil || *kept.Token == "" {
		return foreign{wrong: "it has no token"}
	}
	value, wrong := c.open(*kept.Token)
	f := foreign{description: "a provider token, imported by strongroom", data: map[string]string{custom.ValueKey: value}, wrong: wrong}
	for key, value := range map[string]*string{"user_id": kept.UserID, "host": kept.Host} {
		if value != nil {
			f.data[key] = *value
		}
	}
	return f
}
