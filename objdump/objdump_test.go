package objdump_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/objdump"
)

// TestEveryObject prints every object of the tree: each program with all of its
// instructions, every call by its name.
func TestEveryObject(t *testing.T) {
	var objects []string
	for _, pattern := range []string{"../examples/*/*.o", "../vm/*/testdata/*.o", "../link/testdata/*.o", "../live/testdata/*.o", "../testdata/*.o"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, found...)
	}
	if len(objects) < 20 {
		t.Fatalf("only %d objects", len(objects))
	}
	numbered := regexp.MustCompile(`(?m)^ *[0-9]+: .+$`)
	for _, object := range objects {
		t.Run(object, func(t *testing.T) {
			spec, err := bpfct.LoadCollectionSpec(object)
			if err != nil {
				t.Skip(err) // bad ones are the subject of other tests
			}
			var b bytes.Buffer
			if err := objdump.Write(&b, spec, objdump.Options{}); err != nil {
				t.Skip(err)
			}
			instructions := 0
			for name, p := range spec.Programs {
				if !strings.Contains(b.String(), "program "+name+": ") {
					t.Errorf("program %s is missing", name)
				}
				instructions += len(p.Instructions)
			}
			if got := len(numbered.FindAllString(b.String(), -1)); got < instructions/2 || instructions > 0 && got == 0 {
				t.Errorf("%d instructions shown of about %d", got, instructions)
			}
		})
	}
}

func TestErrorsNameTheThing(t *testing.T) {
	spec, err := bpfct.LoadCollectionSpec("../testdata/api.o")
	if err != nil {
		t.Fatal(err)
	}
	for want, opts := range map[string]objdump.Options{
		"nothing":                      {Programs: []string{"nothing"}},
		`unknown kernel profile "2.4"`: {Profile: "2.4"},
	} {
		var b bytes.Buffer
		if err := objdump.Write(&b, spec, opts); err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("%q: %v, %q", want, err, b.String())
		}
	}
}

// failing is a writer on which nothing can be written.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestWriteError(t *testing.T) {
	spec, err := bpfct.LoadCollectionSpec("../testdata/api.o")
	if err != nil {
		t.Fatal(err)
	}
	if err := objdump.Write(failing{}, spec, objdump.Options{}); err != os.ErrClosed {
		t.Errorf("%v", err)
	}
}
