package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// The recipes in the README of the client commands are run as written. Only addresses, paths and the key are
// replaced.
const recipesPage = repository + "/internal/client/README.md"

// recipe returns the block of this language that has the text.
func recipe(t *testing.T, language, has string) string {
	t.Helper()
	for _, block := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(mustRead(t, recipesPage), -1) {
		if strings.Contains(block[1], has) {
			return block[1]
		}
	}
	t.Fatalf("the README has no %s block with %q", language, has)
	return ""
}

// mustScript writes an executable script into the person's directory bin, and returns its path.
func (p person) mustScript(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(p.home, "bin", name)
	mustWork(t, os.MkdirAll(filepath.Dir(path), 0o700))
	mustWork(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	return path
}

// job runs a shell command with nothing but this environment.
func (p person) job(t *testing.T, dir, script string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir = dir
	cmd.Env = append([]string{"HOME=" + dir, "PATH=" + filepath.Join(p.home, "bin") + ":" + filepath.Dir(program) + ":" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE")}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

func TestRecipeForJobsOfContinuousIntegrationRuns(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "password-of-db", theApp, "db.PASSWORD")
	var workflow struct {
		Jobs map[string]struct {
			Env   map[string]string
			Steps []struct{ Run string }
		}
	}
	mustWork(t, yaml.Load([]byte(recipe(t, "yaml", "runs-on")), &workflow))
	job := workflow.Jobs["test"]
	if len(job.Env) != 2 || len(job.Steps) != 1 {
		t.Fatalf("the recipe has changed: %+v", job)
	}
	var env []string
	for name, value := range job.Env {
		value = strings.ReplaceAll(value, exampleServer, "http://"+p.server.address)
		env = append(env, name+"="+strings.ReplaceAll(value, "${{ secrets."+name+" }}", p.in.psk))
	}
	work := mustTempDir(t)
	mustWrite(t, filepath.Join(work, "Makefile"), "test:\n\t@test \"$$DB_PASSWORD\" = password-of-db && echo \"passed with $$DB_PASSWORD\"; env | grep -c STRONGROOM || true\n")
	if out := p.job(t, work, job.Steps[0].Run, env...); out != "passed with ****\n0\n" {
		t.Errorf("got %q", out)
	}
}

func TestRecipeForComposeGivesTheVariablesThatItNames(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "ghp_x", "GITHUB_TOKEN")
	var compose struct {
		Services map[string]struct{ Environment []string }
	}
	mustWork(t, yaml.Load([]byte(recipe(t, "yaml", "services:")), &compose))
	var checks []string
	for _, service := range compose.Services {
		for _, name := range service.Environment {
			if strings.Contains(name, "=") {
				t.Errorf("compose.yaml has a value: %s", name)
			}
			checks = append(checks, fmt.Sprintf(`test -n "$%s"`, name))
		}
	}
	if len(checks) == 0 {
		t.Fatal("compose.yaml names no variable")
	}
	p.mustScript(t, "docker", strings.Join(checks, " && ")+` && echo "$*"`)
	out := p.job(t, mustTempDir(t), recipe(t, "sh", "docker compose"), "STRONGROOM_URL=http://"+p.server.address, "STRONGROOM_API_KEY="+p.in.sessionKey)
	if out != "compose up\n" {
		t.Errorf("got %q", out)
	}
}

// systemd checks the unit; the test gives the command what systemd gives it: a directory with the credential.
func TestRecipeForSystemdReadsTheCredential(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "ghp_x", "GITHUB_TOKEN")
	service := p.mustScript(t, "app", `test "$GITHUB_TOKEN" = ghp_x && echo started`)
	unit := strings.NewReplacer(exampleServer, "http://"+p.server.address, "/usr/local/bin/strongroom", program, "/usr/bin/app", service).Replace(recipe(t, "ini", "LoadCredential"))
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Logf("THE UNIT IS NOT CHECKED: %v", err)
	} else {
		path := filepath.Join(mustTempDir(t), "app.service")
		mustWrite(t, path, unit)
		if out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(out), "app.service") {
			t.Errorf("systemd-analyze: %v\n%s", err, out)
		}
	}
	credentials := mustTempDir(t)
	mustWrite(t, filepath.Join(credentials, "strongroom-key"), p.in.sessionKey+"\n")
	var env []string
	start := ""
	for line := range strings.Lines(strings.ReplaceAll(unit, "%d", credentials)) {
		line = strings.TrimSpace(line)
		if variable, ok := strings.CutPrefix(line, "Environment="); ok {
			env = append(env, variable)
		}
		if command, ok := strings.CutPrefix(line, "ExecStart="); ok {
			start = command
		}
	}
	if out := p.job(t, credentials, start, env...); out != "started\n" {
		t.Errorf("got %q", out)
	}
}
