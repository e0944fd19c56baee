package main_test

import (
	"strings"
	"testing"
)

func TestHelpOfEveryCommandSaysWhatItIsForAndWhatItTakes(t *testing.T) {
	for _, tc := range []struct{ args, says string }{
		{"", "Keeps secrets and serves them through two published APIs\n|Available Commands:|  config |  init |  serve |  version "},
		{"--help", "Available Commands:|  config |  init |  serve |  version "},
		{"help serve", "Serve the APIs until told to stop (SIGTERM)\n|strongroom serve --config FILE|--config file |--listen address "},
		{"serve --help", "strongroom serve --config FILE|--config file |--listen address "},
		{"init --help", "Make a config, keys and an empty state file in DIR|Nothing that exists is overwritten|strongroom init --dir DIR|--dir directory "},
		{"config", "Look at a config without serving it\n|  check "},
		{"config --help", "Look at a config without serving it\n|  check "},
		{"config check --help", "strongroom config check --config FILE|--config file "},
		{"version --help", "Print the version\n|strongroom version"},
	} {
		t.Run("strongroom "+tc.args, func(t *testing.T) {
			r := mustRun(t, strings.Fields(tc.args)...)
			for s := range strings.SplitSeq(tc.says, "|") {
				if !strings.Contains(r.stdout, s) {
					t.Errorf("it does not say %q:\n%s", s, r.stdout)
				}
			}
			if r.stderr != "" {
				t.Errorf("stderr has %q, want nothing", r.stderr)
			}
		})
	}
}

func TestVersionIsThatOfTheBuild(t *testing.T) {
	if r := mustRun(t, "version"); r.stdout != "v0-test\n" || r.stderr != "" {
		t.Errorf("got %q and %q", r.stdout, r.stderr)
	}
}

func TestCommandLinesThatMeanNothingAreRefused(t *testing.T) {
	for _, tc := range []struct{ args, says string }{
		{"unseal", `unknown command "unseal"`},
		{"config show", `unknown command "show"`},
		{"version now", `unknown command "now"`},
		{"serve", `required flag(s) "config" not set`},
		{"serve strongroom.yaml", `unknown command "strongroom.yaml"`},
		{"config check", `required flag(s) "config" not set`},
		{"init", "at least one of the flags in the group [dir config] is required"},
		{"init --dir", "flag needs an argument: --dir"},
		{"serve --conf x", "unknown flag: --conf"},
		{"--verbose", "unknown flag: --verbose"},
	} {
		t.Run("strongroom "+tc.args, func(t *testing.T) {
			wantRefusal(t, run(t, strings.Fields(tc.args)...), tc.says)
		})
	}
}
