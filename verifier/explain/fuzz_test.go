package explain

import (
	"io"
	"strings"
	"testing"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
)

// FuzzExplain gives the explanation messages and logs that do not fit the program.
func FuzzExplain(f *testing.F) {
	spec, err := link.LoadFile("testdata/stack-depth.o")
	if err != nil {
		f.Fatal(err)
	}
	obj, err := link.Link(spec, kernel.Default(), link.Options{})
	if err != nil {
		f.Fatal(err)
	}
	prog := obj.Programs["outer"]
	for _, c := range Classes() {
		f.Add(c.Messages[0], "0: (bf) r6 = r1 ; R1=ctx() R6_w=ctx()\n1: (85) call pc+3\ncaller:\n R6=ctx()\n5: frame1: R1=ctx()\n5: (95) exit\n", 1)
	}
	f.Add("Unreleased reference id=2 alloc_insn=1", "1: (85) call bpf_x#1 ; R0=ptr(\n", 9999)
	f.Add("R5 !read_ok", "0: (b7) r2 = 7\n3: (85) call bpf_y#5\n", 3)
	f.Add("arg#9 pointer type STRUCT x must point to scalar, or struct with scalar", "", -1)
	f.Fuzz(func(t *testing.T, message, log string, insn int) {
		e := &verifier.Error{Program: "outer", Errno: errno.EINVAL, Insn: insn, Message: message, Lines: strings.Split(message, "\n"), Log: log}
		x := Explain(prog, e)
		if x == nil || x.What == "" {
			t.Fatalf("no explanation: %+v", x)
		}
		if err := x.WriteText(io.Discard, true); err != nil {
			t.Fatal(err)
		}
	})
}

// Every message of the catalogue is found again by a line of its form, under its class or
// one before it.
func TestMessagesMatch(t *testing.T) {
	sample := strings.NewReplacer("%d", "3", "%u", "3", "%s", "thing", "%x", "ff")
	all := Classes()
	for i, c := range all {
		for _, m := range c.Messages {
			line := sample.Replace(verbName.ReplaceAllString(m, ""))
			if _, ok := c.match(line); !ok {
				t.Errorf("%s does not match its own message %q", c.Name, line)
			}
			found := Lookup(line)
			for j, other := range all {
				if found != nil && other.Name == found.Name && j > i {
					t.Errorf("%q of %s is taken for %s", line, c.Name, found.Name)
				}
			}
		}
	}
}
