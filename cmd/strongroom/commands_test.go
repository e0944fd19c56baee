package main_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestHelpDescribesEveryCommandAndFlag(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ args, says string }{
		{"", "Store secrets in one encrypted file|Your secrets on a server:|Server:|All secrets of this machine's server:|Access:|State file:|  serve |  version |/etc/strongroom/strongroom.yaml"},
		{"--help", "Server:|  config |  init |  serve |  version |  completion "},
		{"help serve", "Serve the APIs until SIGTERM|strongroom serve --config demo|--config file |--listen address "},
		{"serve --help", "strongroom serve|--config file |--listen address "},
		{"init --help", "Create a config, keys and an empty state file in DIR|Existing files are never overwritten|strongroom init --dir DIR|--dir directory "},
		{"config", "Check a config without serving it\n|  check "},
		{"config --help", "Check a config without serving it\n|  check "},
		{"config check --help", "strongroom config check|--config file "},
		{"version --help", "Print the version|strongroom version"},
		{"run --help", "  -h, --help  |      --mask  "}, // not --mask[=true|false]
	} {
		t.Run("strongroom "+tc.args, func(t *testing.T) {
			r := mustRun(t, strings.Fields(tc.args)...)
			for s := range strings.SplitSeq(tc.says, "|") {
				if !strings.Contains(r.stdout, s) {
					t.Errorf("the help lacks %q:\n%s", s, r.stdout)
				}
			}
			if r.stderr != "" {
				t.Errorf("stderr has %q, want nothing", r.stderr)
			}
		})
	}
}

func TestVersionIsFromTheBuild(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"version", "--version"} {
		if r := mustRun(t, strings.Fields(args)...); r.stdout != "v0-test\n" || r.stderr != "" {
			t.Errorf("%s: got %q and %q", args, r.stdout, r.stderr)
		}
	}
	got := mustRun(t, "version", "-o", "json").stdout
	if !regexp.MustCompile(`^\{"version":"v0-test","commit":"[0-9a-f]*","go":"go1\.[^"]+","fips":false\}\n$`).MatchString(got) {
		t.Errorf("got %s", got)
	}
}

func TestWrongCommandLinesAreExplained(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ args, says string }{
		{"unseal", `unknown command "unseal" of strongroom: see strongroom --help`},
		{"unseal --config x", `unknown command "unseal" of strongroom: see strongroom --help`},
		{"servr --config x", `unknown command "servr" of strongroom: did you mean serve?`},
		{"secret lst --config x user/a", `unknown command "lst" of strongroom secret: did you mean list?`},
		{"backup verfy b", `unknown command "verfy" of strongroom backup: did you mean verify?`},
		{"config show", `unknown command "show" of strongroom config`},
		{"version now", `strongroom version takes no arguments, but got "now"`},
		{"version -o yaml", `invalid argument "yaml" for "-o, --output" flag: must be table or json`},
		{"serve strongroom.yaml", `strongroom serve takes no arguments, but got "strongroom.yaml"`},
		{"serve --config=", "--config: must be the path of a file"},
		{"init", "at least one of the flags in the group [dir config] is required"},
		{"init --dir", "flag needs an argument: --dir"},
		{"serve --conf x", "unknown flag: --conf"},
		{"--verbose", "unknown flag: --verbose"},
		{"secret --verbose", "unknown flag: --verbose"},
		{"completion powershell", `invalid argument "powershell"`},
	} {
		t.Run("strongroom "+tc.args, func(t *testing.T) {
			wantRefusal(t, run(t, strings.Fields(tc.args)...), tc.says)
		})
	}
}

// runIn runs the program in a directory.
func runIn(t *testing.T, dir string, env []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := command(t, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &stdout, &stderr
	_ = cmd.Run()
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestConfigIsFoundWithoutTheFlag(t *testing.T) {
	t.Parallel()
	i, elsewhere := mustInit(t), t.TempDir()
	env := []string{"STRONGROOM_CONFIG=" + i.config()}
	missing := []string{"STRONGROOM_CONFIG=" + filepath.Join(elsewhere, "nowhere.yaml")}
	for _, tc := range []struct {
		name, dir string
		env, args []string
		stderr    string
	}{
		{"in this directory", i.dir, nil, nil, "config: ./strongroom.yaml\n"},
		{"this directory before the variable", i.dir, missing, nil, "config: ./strongroom.yaml\n"},
		{"from the variable", elsewhere, env, nil, "config: " + i.config() + "\n"},
		{"the flag before all", elsewhere, missing, []string{"--config", i.config()}, ""},
	} {
		r := runIn(t, tc.dir, tc.env, append([]string{"config", "check"}, tc.args...)...)
		if r.code != 0 || r.stderr != tc.stderr || r.stdout != "the config is valid\n" {
			t.Errorf("%s: %d, %q, stderr %q, want %q", tc.name, r.code, r.stdout, r.stderr, tc.stderr)
		}
	}
	if r := runIn(t, elsewhere, missing, "config", "check"); r.code != 1 || !strings.Contains(r.stderr, "nowhere.yaml: no such file") {
		t.Errorf("a missing config in $STRONGROOM_CONFIG: %d, %s", r.code, r.stderr)
	}
	if os.Geteuid() == 0 {
		mustWork(t, os.Chown(i.config(), 65534, 65534))
		wantRefusal(t, runIn(t, i.dir, nil, "config", "check"), "./strongroom.yaml belongs to another user")
	}
	if _, err := os.Lstat("/etc/strongroom/strongroom.yaml"); err == nil {
		t.Skip("NOT TESTED: the error without a config, because this machine has /etc/strongroom/strongroom.yaml")
	}
	wantRefusal(t, runIn(t, elsewhere, nil, "config", "check"), "there is no config: use --config FILE")
}

func TestServeNamesAnAddressInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	mustWork(t, err)
	defer func() { _ = l.Close() }()
	address := l.Addr().String()
	wantRefusal(t, run(t, "serve", "--config", mustInit(t).config(), "--listen", address),
		"listening on "+address+": another process has this address", "choose another one with listen.address or --listen")
}

func TestCompletionKnowsCommandsAndFlags(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if r := mustRun(t, "completion", shell); !strings.Contains(r.stdout, "strongroom") || len(r.stdout) < 1000 {
			t.Errorf("%s: got %d bytes", shell, len(r.stdout))
		}
	}
	for args, want := range map[string]string{"secret li": "list\t", "version -o ": "json\n", "completion ": "fish\n"} {
		words := strings.Split(args, " ")
		if r := mustRun(t, append([]string{"__complete"}, words...)...); !strings.Contains(r.stdout, want) {
			t.Errorf("%s: got %q", args, r.stdout)
		}
	}
}
