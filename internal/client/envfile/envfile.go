// Package envfile reads and writes the files that carry secrets from one tool to another: .env files,
// JSON, YAML, shell scripts, Docker's --env-file, Kubernetes manifests and systemd's
// EnvironmentFile. Start reading at [Write] and [Read].
//
// A writer either writes a value that its format's own readers read back unchanged,
// or returns an error that names the variable. No error quotes a value.
package envfile

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/secret"
)

// A Var is one value with its names. JSON and YAML files use Secret and Key, and all
// other formats use Env.
type Var struct {
	Secret  string       // name of the secret
	DataKey string       // data key; empty for a secret of one value
	Env     string       // name of the environment variable
	Value   secret.Value //
	Line    int          // line in the file that was read, from 1
}

// A Name is the name of a format.
type Name string

// The formats.
const (
	Dotenv     Name = "dotenv"
	JSON       Name = "json"
	YAML       Name = "yaml"
	Shell      Name = "shell"
	Docker     Name = "docker"
	Kubernetes Name = "kubernetes"
	Systemd    Name = "systemd"
)

// Names lists the formats.
func Names() []string {
	return []string{string(Dotenv), string(JSON), string(YAML), string(Shell), string(Docker), string(Kubernetes), string(Systemd)}
}

// ErrName means that there is no such format.
var ErrName = errors.New("must be " + strings.Join(Names(), ", "))

// Parse returns the format of this name, or ErrName.
func Parse(name string) (Name, error) {
	if !slices.Contains(Names(), name) {
		return "", ErrName
	}
	return Name(name), nil
}

// Write returns the content of a file with the values, in the given order. It returns an error that
// names the variable if the format has no way to write a value.
func Write(f Name, vars []Var) ([]byte, error) {
	if err := checkVars(f, vars); err != nil {
		return nil, err
	}
	switch f {
	case JSON:
		return writeJSON(vars)
	case YAML:
		return writeYAML(vars)
	case Kubernetes:
		return writeManifest(vars)
	case Shell:
		return writeLines(vars, shellLine)
	case Docker:
		return writeLines(vars, dockerLine)
	case Systemd:
		return writeLines(vars, systemdLine)
	default:
		return writeLines(vars, dotenvLine)
	}
}

// checkVars refuses values that no format can hold, and two values under one name.
func checkVars(f Name, vars []Var) error {
	seen := map[string]Var{}
	for _, v := range vars {
		name := v.Env
		if f == JSON || f == YAML {
			name = v.Secret + "." + v.DataKey
		}
		if other, twice := seen[name]; twice {
			return fmt.Errorf("%s and %s would both be %s: choose with --only, or name one with --env", place(other), place(v), name)
		}
		seen[name] = v
		if strings.ContainsRune(string(v.Value), 0) && f != JSON && f != Kubernetes && f != YAML {
			return fmt.Errorf("%s: the value has a NUL byte, which no environment variable can hold", v.Env)
		}
		if !utf8.ValidString(string(v.Value)) && f != Kubernetes {
			return fmt.Errorf("%s: the value is not UTF-8 text: use --format kubernetes, which encodes bytes", place(v))
		}
	}
	return nil
}

func place(v Var) string {
	if v.DataKey == "" {
		return v.Secret
	}
	return v.Secret + "." + v.DataKey
}

func writeLines(vars []Var, line func(Var) (string, error)) ([]byte, error) {
	var all []byte
	for _, v := range vars {
		text, err := line(v)
		if err != nil {
			return nil, err
		}
		all = append(append(all, text...), '\n')
	}
	return all, nil
}

// Read returns the values in a file. An error names the line; nothing is returned with it.
func Read(f Name, text []byte) ([]Var, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("the file is not UTF-8 text")
	}
	switch f {
	case JSON:
		return readJSON(text)
	case YAML, Kubernetes:
		return readYAML(text)
	case Shell:
		return readShell(string(text))
	case Docker:
		return readDocker(string(text))
	case Systemd:
		return readSystemd(string(text))
	default:
		return readDotenv(string(text))
	}
}

// Detect returns the format that the file's name or its beginning suggests, [Dotenv] if neither does.
func Detect(path string, text []byte) Name {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".json":
		return JSON
	case ".yaml", ".yml":
		return YAML
	case ".sh":
		return Shell
	}
	begin := strings.TrimSpace(string(text[:min(len(text), 1<<10)]))
	switch {
	case strings.HasPrefix(begin, "{"), strings.HasPrefix(begin, "["):
		return JSON
	case strings.HasPrefix(begin, "apiVersion:"), strings.HasPrefix(begin, "---"):
		return YAML
	}
	return Dotenv
}

// EnvName returns the name of the environment variable for a value: NAME, or NAME_KEY with a data
// key, with _ for each character that such a name cannot have.
func EnvName(name, key string) string {
	if key != "" {
		name += "_" + key
	}
	name = strings.Map(func(r rune) rune {
		if ValidEnvName("_" + string(r)) {
			return r
		}
		return '_'
	}, name)
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		return "_" + name
	}
	return name
}

// ValidEnvName reports whether an environment variable can have this name in every shell.
func ValidEnvName(name string) bool {
	return name != "" && (name[0] < '0' || name[0] > '9') && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// An atLine is an error in a line of a file.
func atLine(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)
}

// lineAt returns the number of the line at an offset.
func lineAt(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }
