package bpfct_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/vm"
)

// FuzzObject loads and runs objects that somebody changed. Whatever the bytes are,
// reading, loading and running end, with an error or without: never with a panic, and
// nothing is left behind. The first bytes say where an object is changed and how, so
// that inputs stay small and most of them remain objects.
func FuzzObject(f *testing.F) {
	gateway, err := os.ReadFile("examples/natgw/natgw.o")
	if err != nil {
		f.Fatal(err)
	}
	objects := [][]byte{apiObject, faultsObject, gateway}
	for which := range objects {
		f.Add(uint8(which), []byte{}, uint32(0), false)
		f.Add(uint8(which), []byte{0xff, 0, 0x18}, uint32(64), true) // the start of the first program
		f.Add(uint8(which), []byte{1, 2, 3, 4}, uint32(len(objects[which])-200), false)
	}
	f.Fuzz(func(t *testing.T, which uint8, patch []byte, at uint32, verify bool) {
		object := slices.Clone(objects[int(which)%len(objects)])
		copy(object[int(at)%len(object):], patch)
		spec, err := bpfct.LoadCollectionSpecFromReader(bytes.NewReader(object))
		if err != nil {
			if spec != nil {
				t.Error("an error and a spec")
			}
			return
		}
		host, err := bpfct.NewHost(bpfct.HostOptions{MaxInsns: 2000, MemoryLimit: 1 << 24})
		if err != nil {
			t.Fatal(err)
		}
		coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{SkipVerifier: !verify})
		if err != nil {
			if coll != nil {
				t.Error("an error and a collection")
			}
			return
		}
		defer coll.Close()
		data := udp(`10.0.0.1:1 > 10.0.0.2:2 udp "x"`)
		for _, p := range coll.Programs {
			res, err := p.Run(&bpfct.RunOptions{Data: data})
			var fault *vm.Fault
			switch {
			case err == nil && res == nil:
				t.Errorf("%v: neither result nor error", p)
			case err != nil && !errors.As(err, &fault) && res != nil:
				t.Logf("%v: %v", p, err)
			}
		}
		host.Clock().Advance(1e10)
		for s := range host.Netns().Conntrack().Snapshots() {
			if s.Use != 1 {
				t.Errorf("%d references to a connection are left", s.Use)
			}
		}
	})
}
