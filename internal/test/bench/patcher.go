package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// clusterSecrets are the secrets that a patcher patches, in a form that can be
// sent to a floor.
type clusterSecrets struct {
	Kubeconfig []byte
	Namespace  string
	Secrets    []stored
}

// A stored is a secret in the cluster.
type stored struct{ App, Name, Object string }

// A patcher writes to a cluster's secrets with client-go alone, without our code.
type patcher struct {
	clusterSecrets
	client *rest.RESTClient
	turn   atomic.Int64
}

// newPatcher uses client-go's client without its rate limit.
func newPatcher(c clusterSecrets) (*patcher, error) {
	cfg, err := clientcmd.RESTConfigFromKubeConfig(c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	cfg.APIPath, cfg.GroupVersion = "/api", &schema.GroupVersion{Version: "v1"}
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	client, err := rest.RESTClientFor(cfg)
	return &patcher{clusterSecrets: c, client: client}, err
}

// patch sends the store's request for a PUT to one of the secrets.
func (p *patcher) patch() error {
	s := p.next()
	ours := func(name string) string { return "strongroom.github.io~1" + name }
	body := fmt.Sprintf(`[`+
		`{"op":"test","path":"/metadata/labels/app.kubernetes.io~1managed-by","value":"strongroom"},`+
		`{"op":"test","path":"/metadata/labels/%s","value":%q},`+
		`{"op":"test","path":"/metadata/annotations/%s","value":%q},`+
		`{"op":"test","path":"/type","value":"Opaque"},`+
		`{"op":"test","path":"/metadata/deletionTimestamp","value":null},`+
		`{"op":"test","path":"/metadata/labels/%s","value":null},`+
		`{"op":"add","path":"/metadata/annotations/%s","value":%q},`+
		`{"op":"add","path":"/metadata/annotations/%s","value":%q},`+
		`{"op":"add","path":"/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration","value":""},`+
		`{"op":"remove","path":"/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},`+
		`{"op":"add","path":"/data","value":{"username":"c2VydmljZS11c2Vy","password":%q}}]`,
		ours("app-id"), s.App, ours("name"), s.Name, ours("leaving"),
		ours("updated"), time.Now().UTC().Format(time.RFC3339Nano), ours("write"), rand.Text(), base64.StdEncoding.EncodeToString(newPassword()))
	_, err := asStore(p.at(p.client.Patch(types.JSONPatchType), s)).Body([]byte(body)).
		SetHeader("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1").
		DoRaw(context.Background())
	return err
}

// next returns the secrets in turn, so that no two writers share one.
func (p *patcher) next() stored { return p.Secrets[p.turn.Add(1)%int64(len(p.Secrets))] }

func (p *patcher) at(r *rest.Request, s stored) *rest.Request {
	return r.Namespace(p.Namespace).Resource("secrets").Name(s.Object)
}

// asStore sets the store's field manager: taking over fields from another manager would
// be extra work.
func asStore(r *rest.Request) *rest.Request { return r.Param("fieldManager", "strongroom") }

// newPassword returns a password as long as those in the PUTs to the server.
func newPassword() []byte {
	return []byte((rand.Text() + rand.Text() + rand.Text())[:64])
}

// naive reads, changes and writes back, and starts over after a conflict, as most
// programs do.
func (p *patcher) naive() error {
	ctx, s := context.Background(), p.next()
	for {
		text, err := p.at(p.client.Get(), s).DoRaw(ctx)
		if err != nil {
			return err
		}
		var object map[string]any
		if err := json.Unmarshal(text, &object); err != nil {
			return err
		}
		object["data"] = map[string][]byte{"username": []byte("service-user"), "password": newPassword()}
		body, err := json.Marshal(object)
		if err != nil {
			return err
		}
		_, err = asStore(p.at(p.client.Put(), s)).Body(body).DoRaw(ctx)
		if !apierrors.IsConflict(err) {
			return err
		}
	}
}
