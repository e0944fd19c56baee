package packages

import (
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// maxExposure is the rating of systemd-analyze security above which the unit fails, from
// 0 (locked up) to 10.
const maxExposure = 1.5

func TestUnitIsHardened(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skipf("THE UNIT'S HARDENING IS NOT TESTED: %v", err)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", repository("configs/systemd/strongroom.service")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := regexp.MustCompile(`Overall exposure level for strongroom.service: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no rating in %s", out)
	}
	if exposure, err := strconv.ParseFloat(string(found[1]), 64); err != nil || exposure > maxExposure {
		t.Errorf("the exposure of the unit is %s, want at most %.1f:\n%s", found[1], maxExposure, out)
	}
}

// The test installs the unit and its config by hand, as the unit's comment says.
func TestServerRunsUnderTheUnit(t *testing.T) {
	m := mustBoot(t, mustBuild(t), repository("configs/systemd/strongroom.service"), repository("configs/systemd/strongroom.yaml"),
		repository("configs/packaging/sysusers.conf"), repository("configs/packaging/setup.sh"))
	m.must(t, `install -m 0755 /test/strongroom -t /usr/bin
		install -D -m 0644 /test/strongroom.service -t /usr/lib/systemd/system
		install -D -m 0644 /test/strongroom.yaml -t /etc/strongroom
		install -D -m 0644 /test/sysusers.conf /usr/lib/sysusers.d/strongroom.conf
		sh /test/setup.sh && sh /test/setup.sh
		systemctl daemon-reload`)
	m.must(t, "systemctl enable --now strongroom") // returns once the server is ready
	m.wantServed(t)
	m.wantReloaded(t)
	m.wantCommands(t)
	m.must(t, "systemctl stop strongroom")
	m.want(t, "systemctl show -p Result,ExecMainStatus strongroom", "Result=success\nExecMainStatus=0")
	m.want(t, "strongroom config check", "not checked: state.key.credential: systemd passed no credential")
	m.wantFailure(t, "strongroom backup verify /tmp/backup", "run this as systemd-run")
	m.want(t, "systemd-run -q --pipe --wait -p LoadCredential=state.key:/etc/strongroom/state.key strongroom config check", "the config is valid")
}

// newKey creates an API key with all rights to the secrets of the default user.
const newKey = `strongroom apikey create --subject test --for 1d --grant '{actions: [list, create, write, delete, reveal], owner: user/default}'`

// wantServed stores a secret and reads it.
func (m *machine) wantServed(t *testing.T) {
	t.Helper()
	const secrets = "http://127.0.0.1:3000/api/secrets"
	m.want(t, "curl -s -o /dev/null -w '%{http_code}' "+secrets, "401")
	m.must(t, newKey+" > /run/key")
	const curl = `curl -s -H "X-Session-API-Key: $(cat /run/key)" `
	m.want(t, curl+`--json '{"name": "TOKEN", "value": "t0p-s3cret"}' `+secrets, "created successfully")
	m.wantSecret(t)
	m.want(t, "stat -c '%U %a' /var/lib/strongroom /var/lib/strongroom/strongroom.db /etc/strongroom/state.key", "strongroom 700\nstrongroom 600\nroot 600")
}

// wantSecret reads the secret of wantServed.
func (m *machine) wantSecret(t *testing.T) {
	t.Helper()
	m.want(t, `curl -s -H "X-Session-API-Key: $(cat /run/key)" http://127.0.0.1:3000/api/settings/secrets/TOKEN`, "t0p-s3cret")
}

// wantReloaded reloads a changed config, and an invalid one, which must fail.
func (m *machine) wantReloaded(t *testing.T) {
	t.Helper()
	m.must(t, "sed -i 's|origins: ..|origins: [https://app.example]|' /etc/strongroom/strongroom.yaml && systemctl reload strongroom")
	m.await(t, "the reload", "journalctl -u strongroom | grep -q 'the config has been reloaded'")
	m.must(t, "echo 'nonsense: true' >> /etc/strongroom/strongroom.yaml")
	m.wantFailure(t, "systemctl reload strongroom", "failed")
	m.want(t, "journalctl -u strongroom", "nonsense")
	m.must(t, "sed -i '$d' /etc/strongroom/strongroom.yaml")
	m.want(t, "systemctl is-active strongroom", "active")
}

// wantCommands runs the commands that need the key, which only the service has.
func (m *machine) wantCommands(t *testing.T) {
	t.Helper()
	m.want(t, "strongroom config check", "the config is valid")
	m.want(t, "strongroom doctor", "ok")
	m.want(t, "strongroom backup --out - > /tmp/backup && strongroom backup verify /tmp/backup", "ok")
}
