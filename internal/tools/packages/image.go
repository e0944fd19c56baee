package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// The image is like that of configs/container/Dockerfile, but needs no daemon to build.
const (
	imageUser = "65532:65532" // configs/kubernetes has the same
	imageName = "strongroom"
)

// writeImage writes an OCI image layout with one image. Its manifest.json is for releases
// of docker load that cannot read the layout.
func (r *release) writeImage(w io.Writer, arch, program string) error {
	layer, diff, err := r.layer(program)
	if err != nil {
		return err
	}
	config, err := json.Marshal(r.imageConfig(arch, diff))
	if err != nil {
		return err
	}
	blobs := [][]byte{config, layer}
	manifest, err := json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: descriptor(v1.MediaTypeImageConfig, config),
		Layers: []v1.Descriptor{descriptor(v1.MediaTypeImageLayerGzip, layer)},
	})
	if err != nil {
		return err
	}
	blobs = append(blobs, manifest)
	index, err := r.index(arch, manifest)
	if err != nil {
		return err
	}
	docker, err := json.Marshal([]dockerImage{{blob(config), []string{imageName + ":" + r.version}, []string{blob(layer)}}})
	if err != nil {
		return err
	}
	a := archive{tar.NewWriter(w), r.time}
	err = errors.Join(a.addDir("blobs"), a.addDir("blobs/sha256"))
	for _, b := range blobs {
		err = errors.Join(err, a.addFile(blob(b), 0o644, b))
	}
	return errors.Join(err, a.addFile("index.json", 0o644, index), a.addFile("manifest.json", 0o644, docker),
		a.addFile(v1.ImageLayoutFile, 0o644, []byte(`{"imageLayoutVersion":"`+v1.ImageLayoutVersion+`"}`)), a.Close())
}

// A dockerImage is a row of manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// layer returns the only layer, compressed, and the digest of its content. It has the
// program and the certificates of public authorities, to verify an identity provider's
// host.
func (r *release) layer(program string) (layer []byte, diff digest.Digest, err error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, "", err
	}
	var plain, compressed bytes.Buffer
	a := archive{tar.NewWriter(&plain), r.time}
	err = errors.Join(a.addFile("strongroom", 0o755, binary), a.addDir("etc"), a.addDir("etc/ssl"), a.addDir("etc/ssl/certs"),
		a.addFile("etc/ssl/certs/ca-certificates.crt", 0o644, authorities()), a.Close())
	if err != nil {
		return nil, "", err
	}
	z, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return nil, "", err
	}
	if _, err := z.Write(plain.Bytes()); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil { // before the bytes are taken
		return nil, "", err
	}
	return compressed.Bytes(), digest.FromBytes(plain.Bytes()), nil
}

// authorities returns the certificates that Mozilla trusts without conditions.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer never fails
		}
	}
	return b.Bytes()
}

func (r *release) imageConfig(arch string, diff digest.Digest) v1.Image {
	return v1.Image{
		Created:  &r.time,
		Platform: v1.Platform{Architecture: arch, OS: "linux"},
		Config: v1.ImageConfig{
			User:       imageUser,
			Entrypoint: []string{"/strongroom"},
			Cmd:        []string{"serve", "--config", "/etc/strongroom/strongroom.yaml"},
			Labels: map[string]string{
				v1.AnnotationTitle: "Strongroom", v1.AnnotationDescription: summary,
				v1.AnnotationVersion: r.version, v1.AnnotationRevision: r.commit, v1.AnnotationCreated: r.time.Format("2006-01-02T15:04:05Z"),
			},
		},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{diff}},
	}
}

// index names the image for podman and skopeo, and for containerd.
func (r *release) index(arch string, manifest []byte) ([]byte, error) {
	d := descriptor(v1.MediaTypeImageManifest, manifest)
	d.Platform = &v1.Platform{Architecture: arch, OS: "linux"}
	d.Annotations = map[string]string{
		v1.AnnotationRefName:       r.version,
		"io.containerd.image.name": "docker.io/library/" + imageName + ":" + r.version,
	}
	return json.Marshal(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{d},
	})
}

func descriptor(mediaType string, content []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// blob returns the path of a blob in the layout.
func blob(content []byte) string { return "blobs/sha256/" + digest.FromBytes(content).Encoded() }
