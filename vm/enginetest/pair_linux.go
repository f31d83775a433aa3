package enginetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/vm"
)

// pair is one program on the kernel and on an engine.
type pair struct {
	kernel *ebpf.Program
	kbuf   *ebpf.Map
	env    *Env
	prog   *vm.Program
	buf    *vm.Object
}

// newBuf makes the kernel's buffer and the engine's.
func newBuf(t testing.TB, engine vm.Engine, size int) *pair {
	t.Helper()
	testkernel.Require(t)
	p := &pair{env: New(t, engine, vm.Config{})}
	p.buf = p.env.Object(t, vm.ObjectSpec{Kind: vm.KindMapValue, Name: Buffer, Size: uint32(size)})
	var err error
	p.kbuf, err = ebpf.NewMap(&ebpf.MapSpec{Name: Buffer, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kbuf.Close() })
	return p
}

// load gives insns to both. rejected says that the kernel's verifier did not want
// them, whatever the engine would do.
func (p *pair) load(t testing.TB, insns asm.Instructions) (rejected error) {
	t.Helper()
	k := append(asm.Instructions(nil), insns...)
	if err := k.AssociateMap(Buffer, p.kbuf); err != nil && !errors.Is(err, asm.ErrUnreferencedSymbol) {
		t.Fatal(err)
	}
	if p.kernel != nil {
		p.kernel.Close()
	}
	var err error
	p.kernel, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: k})
	var ve *ebpf.VerifierError
	switch {
	case errors.As(err, &ve), errors.Is(err, syscall.EFAULT): // EFAULT: the verifier reports a bug of its own
		p.kernel = nil
		return err
	case err != nil:
		t.Fatalf("%v\n%v", err, insns)
	}
	p.prog = p.env.Program(t, "test", insns)
	return nil
}

func (p *pair) close() {
	if p.kernel != nil {
		p.kernel.Close()
	}
}

// run executes both programs n times on data as the contents of the buffer, and
// returns what the buffers hold then and the last return values.
func (p *pair) run(t testing.TB, data []byte, n int) (kernel, here []byte, kret, ret uint32) {
	t.Helper()
	if err := p.kbuf.Put(uint32(0), data); err != nil {
		t.Fatal(err)
	}
	kret, err := p.kernel.Run(&ebpf.RunOptions{Data: make([]byte, 64), Repeat: uint32(n)})
	if err != nil {
		t.Fatal(err)
	}
	if kernel, err = p.kbuf.LookupBytes(uint32(0)); err != nil {
		t.Fatal(err)
	}
	copy(p.buf.Bytes(), data)
	for range n {
		res, err := p.env.Run(p.prog)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		ret = uint32(res.R0)
	}
	return kernel, p.buf.Bytes(), kret, ret
}

// compare runs both and reports what differs.
func (p *pair) compare(t testing.TB, data []byte, n int) error {
	t.Helper()
	kernel, here, kret, ret := p.run(t, data, n)
	var b strings.Builder
	if kret != ret {
		fmt.Fprintf(&b, "r0: kernel %#x, here %#x\n", kret, ret)
	}
	for i := 0; i+8 <= len(kernel); i += 8 {
		if !bytes.Equal(kernel[i:i+8], here[i:i+8]) {
			fmt.Fprintf(&b, "at %d: kernel %#x, here %#x, started with %#x\n", i, le64(kernel[i:]), le64(here[i:]), le64(data[i:]))
			break
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return errors.New(b.String())
}

var le64 = binary.LittleEndian.Uint64
