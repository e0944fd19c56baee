package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// The answers of the puts do not fit into the window of a connection.
func TestPutsReachEtcd(t *testing.T) {
	if !kubetest.IsBuilt() {
		t.Skip("etcd is not built: make kubetest does that")
	}
	etcd, err := kubetest.RunEtcd(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Stop()
	d := dialect{apps: 3}
	c := &client{address: etcd.Address, dial: dialEtcd}
	defer c.close()
	for range 100 {
		if err := c.each(&operation{requests: d.etcdPuts()}, 2); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.Get("http://" + etcd.Address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	metrics, err := io.ReadAll(resp.Body)
	for _, want := range []string{"etcd_mvcc_put_total 6000", "etcd_debugging_mvcc_keys_total 60"} {
		if err != nil || !strings.Contains(string(metrics), "\n"+want+"\n") {
			t.Errorf("etcd does not count %q: %v", want, err)
		}
	}
	w, err := dialEtcd(etcd.Address)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.exchange(make([]byte, 5)); err == nil || !strings.Contains(err.Error(), "key is not provided") {
		t.Errorf("a put without a key: %v", err)
	}
}
