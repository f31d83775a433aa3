package maps

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// storageSocket is a socket that two objects may show.
type storageSocket struct{ key any }

func (s *storageSocket) StorageKey() any { return s.key }

func socketObject(t *testing.T, m *vm.Machine, owner any) uint64 {
	t.Helper()
	o, err := m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindSocket, Name: "struct bpf_sock", Size: 80, Owner: owner})
	if err != nil {
		t.Fatal(err)
	}
	return o.Addr()
}

func TestSkStorage(t *testing.T) {
	m := newMachine(t, 1)
	u32 := &btf.Int{Name: "u32", Size: 4}
	mp := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.SkStorage, KeySize: 4, ValueSize: 4, Flags: NoPrealloc, Key: u32, Value: u32})
	h := mp.Handle().Addr()
	one, again := socketObject(t, m, &storageSocket{"one"}), socketObject(t, m, &storageSocket{"one"})
	two, request := socketObject(t, m, &storageSocket{"two"}), socketObject(t, m, &storageSocket{nil})
	init := guest(t, m, []byte{7, 0, 0, 0})
	get := func(sock, init, flags uint64) uint64 {
		t.Helper()
		addr, err := call(t, m, 0, "bpf_sk_storage_get", h, sock, init, flags)
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	if a := get(one, 0, 0); a != 0 {
		t.Errorf("storage that was not created: %#x", a)
	}
	addr := get(one, init, skStorageCreate)
	if b, f := m.Mem.Load(addr, 4); f != nil || b[0] != 7 {
		t.Errorf("created: %v, %v", b, f)
	}
	if a := get(again, 0, 0); a != addr {
		t.Errorf("the same socket has storage at %#x and %#x", addr, a)
	}
	if a := get(two, 0, skStorageCreate); a == addr || a == 0 {
		t.Errorf("another socket's storage: %#x", a)
	}
	for _, c := range []struct{ sock, flags uint64 }{{request, skStorageCreate}, {0, skStorageCreate}, {one, 2}} {
		if a := get(c.sock, 0, c.flags); a != 0 {
			t.Errorf("socket %#x flags %d: %#x, want NULL", c.sock, c.flags, a)
		}
	}
	for _, c := range []struct {
		sock uint64
		want errno.Errno
	}{{one, 0}, {one, errno.ENOENT}, {request, errno.EINVAL}, {0, errno.EINVAL}} {
		r, err := call(t, m, 0, "bpf_sk_storage_delete", h, c.sock)
		if err != nil || r != c.want.Neg() {
			t.Errorf("delete of %#x: %d, %v, want %v", c.sock, int64(r), err, c.want)
		}
	}
	s := mp.(*SkStorage)
	wantErrno(t, "set", s.Set("one", []byte{1, 2, 3, 4}, Exist), errno.ENOENT)
	wantErrno(t, "set", s.Set("one", []byte{1, 2, 3, 4}, NoExist), 0)
	wantErrno(t, "set", s.Set("one", []byte{1, 2, 3, 5}, NoExist), errno.EEXIST)
	wantErrno(t, "set", s.Set("one", []byte{1, 2, 3, 6}, Any), 0)
	if v, err := s.Get("one"); err != nil || v[3] != 6 {
		t.Errorf("get: %v, %v", v, err)
	}
	wantErrno(t, "remove", s.Remove("one"), 0)
	_, err := s.Get("one")
	wantErrno(t, "get", err, errno.ENOENT)
	if _, err := call(t, m, 0, "bpf_sk_storage_get", h, init, 0, 0); !isFault(err, vm.BadArgument) {
		t.Errorf("what is no socket: %v", err)
	}
}

func isFault(err error, kind vm.FaultKind) bool {
	var f *vm.Fault
	return errors.As(err, &f) && f.Kind == kind
}
