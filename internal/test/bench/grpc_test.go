package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// More puts than fit into the window of their answers reach etcd, which has them by its other API.
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
	query := fmt.Sprintf(`{"key":%q,"range_end":"AA=="}`, base64.StdEncoding.EncodeToString([]byte(listPath(0))))
	resp, err := http.Post("http://"+etcd.Address+"/v3/kv/range", "application/json", strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var found struct {
		Count string
		KVs   []struct{ Value []byte }
	}
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	if found.Count != "60" || !strings.HasPrefix(string(found.KVs[0].Value), `{"data":[{"key":"username"`) {
		t.Errorf("got %s keys: %+v", found.Count, found.KVs)
	}
	w, err := dialEtcd(etcd.Address)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.exchange(make([]byte, 5)); err == nil || !strings.Contains(err.Error(), "key is not provided") {
		t.Errorf("a put without a key: %v", err)
	}
}
