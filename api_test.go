package bpfct_test

import (
	"bytes"
	_ "embed"
	"testing"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/packet"
)

//go:embed testdata/api.o
var apiObject []byte

// apiSpec reads testdata/api.c's object.
func apiSpec(t rapid.TB) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := bpfct.LoadCollectionSpecFromReader(bytes.NewReader(apiObject))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func newHost(t testing.TB, opts bpfct.HostOptions) *bpfct.Host {
	t.Helper()
	host, err := bpfct.NewHost(opts)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// load loads testdata/api.c.
func load(t testing.TB, opts bpfct.HostOptions) (*bpfct.Host, *bpfct.Collection) {
	t.Helper()
	host := newHost(t, opts)
	coll, err := host.LoadCollection(apiSpec(t), bpfct.CollectionOptions{})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(coll.Close)
	return host, coll
}

// run runs a program of the collection that must not be stopped.
func run(t testing.TB, coll *bpfct.Collection, name string, opts *bpfct.RunOptions) *bpfct.Result {
	t.Helper()
	res, err := coll.Programs[name].Run(opts)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return res
}

// marked is a context with the given mark.
func marked(mark uint32) []byte {
	ctx := make([]byte, 12)
	ctx[8], ctx[9] = byte(mark), byte(mark>>8)
	return ctx
}

func udp(text string) []byte { return packet.MustParseText(text) }
