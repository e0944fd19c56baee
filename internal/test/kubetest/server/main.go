// Server runs etcd and a Kubernetes API server in one process on loopback, for
// tests: see package kubetest. It is a module of its own, so that Kubernetes
// stays out of the program's go.mod; it links kube-apiserver itself, not a copy
// of its parts.
//
// It prints a line of JSON when etcd listens and another when the API server is
// ready. When its standard input ends, it ends too and removes its directory,
// so a test that crashes leaves nothing behind.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// auditPolicy logs every request before and after it is served.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Metadata}]
`

func main() {
	dir := flag.String("dir", "", "an empty `directory`, which is removed in the end")
	via := flag.String("etcd-via", "", "`address` by which the API server reaches etcd, if it is not etcd's own")
	fsync := flag.Bool("fsync", false, "let etcd wait for the disk, as in production")
	audit := flag.Bool("audit", true, "write audit.log")
	alone := flag.Bool("etcd-alone", false, "run only etcd")
	flag.Parse()
	check(os.Chdir(*dir))
	go endWithStdin(*dir)

	etcd := startEtcd(*fsync)
	announce(map[string]string{"etcd": etcd})
	if *alone {
		select {} // until stdin ends
	}
	if *via == "" {
		*via = etcd
	}
	admin := rand.Text()
	check(os.WriteFile("tokens.csv", []byte(admin+`,admin,admin,"system:masters"`+"\n"), 0o600))
	check(os.WriteFile("sa.key", newKey(), 0o600))
	check(os.WriteFile("policy.yaml", []byte(auditPolicy), 0o600))

	port := freePort()
	url := "https://127.0.0.1:" + port
	go func() {
		awaitReady(url, admin)
		ca, err := os.ReadFile(filepath.Join("certs", "apiserver.crt"))
		check(err)
		announce(map[string]string{"url": url, "ca": string(ca), "token": admin})
	}()
	args := []string{
		"--etcd-servers=http://" + *via,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + port,
		"--cert-dir=certs", "--token-auth-file=tokens.csv", "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=sa.key", "--service-account-key-file=sa.key",
		"--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none",
	}
	if *audit {
		args = append(args, "--audit-policy-file=policy.yaml", "--audit-log-path=audit.log")
	}
	cmd := app.NewAPIServerCommand()
	cmd.SetArgs(args)
	os.Exit(cli.Run(cmd))
}

func endWithStdin(dir string) {
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = os.RemoveAll(dir)
	os.Exit(0)
}

func startEtcd(fsync bool) (address string) {
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = "etcd", "error", !fsync
	loopback := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.ListenPeerUrls = loopback, loopback
	e, err := embed.StartEtcd(cfg)
	check(err)
	<-e.Server.ReadyNotify()
	return e.Clients[0].Addr().String()
}

// newKey returns a key for signing the tokens of service accounts.
func newKey() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	der, err := x509.MarshalECPrivateKey(key)
	check(err)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

// freePort returns a free port. The API server listens on it right afterwards.
func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	check(l.Close())
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// awaitReady skips verification: the API server has yet to create its certificate.
func awaitReady(url, token string) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for ; ; time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodGet, url+"/readyz", nil)
		check(err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
}

func announce(what map[string]string) { check(json.NewEncoder(os.Stdout).Encode(what)) }

func check(err error) {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
